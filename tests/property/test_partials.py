"""Partials from the history, merged with what was folded after any cutover, are the kernel's over the whole log."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.event import Event
from shared.domain.fold import fold, is_repeat
from shared.domain.numbers import to_micro_units
from shared.domain.plan import Plan
from shared.domain.user_state import Partial, Slots, UserState
from tests.support import oracle
from tests.support.kernel import merged, plan_of
from tests.support.partials import partials_below
from tests.support.strategies import alone, definitions, logs, sharing_conditions
from tests.support.themes import THEMES, Theme

EXACT = ("count", "newest", "totals", "value")


@settings(max_examples=500)
@given(definitions, logs(), st.integers(0, 12), st.sampled_from((0, 1, oracle.SECOND, oracle.DAY)))
def test_any_cutover_gives_the_verdicts_of_folding_everything(
    definition: dict[str, Any], log: list[Event], cut: int, later: int
) -> None:
    check_cutover([definition], log, cut, later)


@settings(max_examples=200)
@given(sharing_conditions, logs(), st.integers(0, 12))
def test_conditions_that_share_an_aggregate_get_what_all_need(
    conditions: list[dict[str, Any]], log: list[Event], cut: int
) -> None:
    check_cutover(alone(conditions), log, cut, 0)


@pytest.mark.parametrize("name", THEMES)
def test_any_cutover_of_events_made_for_a_condition(name: str) -> None:
    @settings(max_examples=200)
    @given(THEMES[name], st.integers(0, 6))
    def agrees(theme: Theme, cut: int) -> None:
        check_cutover(*theme, cut, 0)

    agrees()


def check_cutover(definitions: list[dict[str, Any]], log: list[Event], cut: int, later: int) -> None:
    plan = plan_of(definitions)
    below = log[cut].offset if cut < len(log) else log[-1].offset + 1
    as_of = log[-1].received_at + later
    before, after, everything = (Slots(), Slots(), Slots())
    state = UserState()
    for event in log:
        if event.event_id is None or not is_repeat(state, event):
            touched = plan.by_event_type.get(event.event_type, plan.other)
            for slots in (everything, before if event.offset < below else after):
                fold(touched, slots, event)
    history = partials_below(plan, log, below, as_of)
    check_scalars(plan, history, before)
    both = merged(plan, history, after)
    for segment in plan.segments.values():
        now = segment.verdict(everything, as_of)
        assert segment.verdict(both, as_of) == now
        assert segment.steady(both, as_of) == segment.steady(everything, as_of)
        for instant in oracle.candidates(definitions[segment.segment_id - 1], oracle.counted(log)):
            if instant >= as_of:
                assert segment.verdict(both, instant) == segment.verdict(everything, instant)


def check_scalars(plan: Plan, history: Slots, folded: Slots) -> None:
    for key, slot in plan.slots.items():
        if slot.aggregate.kind in EXACT:
            zero = slot.verbs.zero()
            assert _rounded(history.get(key, zero)) == _rounded(folded.get(key, zero))


def _rounded(partial: Partial) -> list[Any]:
    """Values of properties have been rounded in the history."""
    return [_number(item) for item in partial]


def _number(item: Any) -> Any:
    if isinstance(item, list):
        return [_number(element) for element in item]
    if isinstance(item, float) and (micro := to_micro_units(item)) is not None:
        return ("number", micro)
    return ("number", item * 1_000_000) if type(item) is int and abs(item) < 10**15 else item
