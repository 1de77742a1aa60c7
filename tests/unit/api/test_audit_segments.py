"""Which segments may be compared, and which of those have stayed the same."""

import pytest

from services.api.audit.segments import Asked, comparable
from services.api.repository.audits import SegmentState
from shared.domain.definition import parse_definition

STATES = {n: SegmentState(1, 10 + n, is_settled=True) for n in (1, 2, 3)}
EDGES = {1: {2}, 2: {3}}
"""1 refers to 2, and 2 to 3."""
CHANGES = {
    "another version": STATES[3]._replace(active_version=2),
    "another wish": STATES[3]._replace(wish_id=99),
    "inactive": STATES[3]._replace(active_version=None),
    "not settled": STATES[3]._replace(is_settled=False),
}


def test_a_segment_depends_on_all_that_it_refers_to_however_far() -> None:
    found = {each: comparable(each, EDGES, STATES) for each in STATES}
    assert found == {1: {1, 2, 3}, 2: {2, 3}, 3: {3}}


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        (SegmentState(1, 13, is_settled=False), set()),
        # nobody is in it, which is an answer as well
        (SegmentState(None, 13, is_settled=True), {1, 2}),
        (SegmentState(None, None, is_settled=True), {1, 2}),
        (SegmentState(None, 13, is_settled=False), set()),
    ],
)
def test_only_what_everybody_has_the_last_answers_of_is_compared(state: SegmentState, asked: set[int]) -> None:
    states = STATES | {3: state}
    assert {each for each in states if comparable(each, EDGES, states)} == asked


def test_one_that_was_deleted_has_no_members_for_anybody() -> None:
    states = {1: STATES[1], 2: STATES[2]}
    assert comparable(1, EDGES, states) == {1, 2, 3}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_one_of_all_that_depend_on_it(change: str) -> None:
    definition = parse_definition(
        {"logic": "AND", "conditions": [{"type": "user_property", "property": "p", "operator": "is_set"}]}
    )
    asked = Asked(
        dict.fromkeys((1, 2, 4), definition),
        {},
        {1: frozenset({1, 2, 3}), 2: frozenset({2, 3}), 4: frozenset({4})},
        STATES | {4: STATES[1]},
    )
    assert asked.unchanged(asked.states) == {1, 2, 4}
    assert asked.unchanged({**asked.states, 3: CHANGES[change]}) == {4}
    assert asked.unchanged({each: state for each, state in asked.states.items() if each != 3}) == {4}
