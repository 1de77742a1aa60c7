"""The kernel against the oracle: after every event, at every turn and just before it, in any order of arrival."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.event import Event
from shared.domain.user_state import NEVER, UserState
from tests.support import oracle
from tests.support.dense import dense_definitions, dense_logs
from tests.support.kernel import fold_all, plan_of, state_after, take_in, trimmed
from tests.support.properties import check_every_step, check_merge, check_what_is_not_asked
from tests.support.strategies import alone, definitions, families, logs, sharing_conditions
from tests.support.themes import EXAMPLES, THEMES, Theme

sinces = st.sampled_from((0, 0, 0, 1, 5))


@settings(max_examples=2_000)
@given(definitions, logs(), sinces)
def test_the_kernel_agrees_with_the_oracle_after_every_event_and_at_every_turn(
    definition: dict[str, Any], log: list[Event], since: int
) -> None:
    check_every_step([definition], [since], log)


@pytest.mark.parametrize("name", THEMES)
def test_one_condition_agrees_with_the_oracle_on_events_made_for_it(name: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(THEMES[name])
    def agrees(theme: Theme) -> None:
        definitions, log = theme
        check_every_step(definitions, [0] * len(definitions), log)

    agrees()


@settings(max_examples=500)
@given(sharing_conditions, logs(), st.lists(sinces, min_size=5, max_size=5))
def test_conditions_that_share_an_aggregate_do_not_disturb_each_other(
    conditions: list[dict[str, Any]], log: list[Event], starts: list[int]
) -> None:
    check_every_step(alone(conditions), starts[: len(conditions)], log)


@settings(max_examples=1_000)
@given(families(), logs(), st.lists(sinces, min_size=4, max_size=4))
def test_segments_that_refer_to_others_agree_with_the_oracle(
    family: list[dict[str, Any]], log: list[Event], starts: list[int]
) -> None:
    check_every_step(family, starts[: len(family)], log)


@settings(max_examples=500)
@given(families(), logs())
def test_what_an_event_of_any_kind_does_not_name_holds_on(followed: list[dict[str, Any]], log: list[Event]) -> None:
    check_what_is_not_asked(followed, log)


@settings(max_examples=2_000)
@given(dense_definitions, dense_logs)
def test_what_an_event_does_not_name_holds_on(followed: list[dict[str, Any]], log: list[Event]) -> None:
    check_what_is_not_asked(followed, log)


@settings(max_examples=300)
@given(definitions, logs(max_size=8), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_state(definition: dict[str, Any], log: list[Event], random: Any) -> None:
    plan = plan_of([definition])
    shuffled = random.sample(log, len(log))
    as_of = log[-1].received_at
    assert trimmed(plan, fold_all(plan, shuffled), as_of) == trimmed(plan, fold_all(plan, log), as_of)


@settings(max_examples=500)
@given(definitions, logs(min_size=0, max_size=6), logs(max_size=6))
def test_merging_two_partials_equals_folding_both_lists(
    definition: dict[str, Any], one: list[Event], other: list[Event]
) -> None:
    check_merge(definition, one, other)


@settings(max_examples=300)
@given(definitions, logs(), st.data())
def test_replaying_from_any_offset_changes_nothing(definition: dict[str, Any], log: list[Event], data: Any) -> None:
    plan, state = plan_of([definition]), UserState()
    number = 0
    for number, event in enumerate(log, 1):
        take_in(plan, state, event)
        for replayed in log[data.draw(st.integers(0, number), label="replay from") : number]:
            take_in(plan, state, replayed)
    assert number == len(log)
    assert state == state_after(plan, log)


@settings(max_examples=300)
@given(definitions, logs())
def test_time_alone_never_turns_an_answer_that_has_no_recheck(definition: dict[str, Any], log: list[Event]) -> None:
    plan, state = plan_of([definition]), state_after(plan_of([definition]), log)
    counted = oracle.counted(log)
    member, recheck_at = plan.segments[1].verdict(state.slots, state.as_of)
    later = [instant for instant in oracle.candidates(definition, counted) if state.as_of <= instant < recheck_at]
    for instant in {*later, *(at + 1 for at in later), state.as_of + 10 * 365 * oracle.DAY}:
        if instant < recheck_at or recheck_at == NEVER:
            assert oracle.member(definition, counted, instant) is member
