"""The kernel against the oracle: after every event, at every turn and just before it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.event import Event
from shared.domain.plan import Plan
from shared.domain.user_state import NEVER, UserState
from tests.support import oracle
from tests.support.kernel import plan_of, take_in
from tests.support.strategies import definitions, logs


def check(definition: dict[str, Any], since: int, plan: Plan, state: UserState, seen: list[Event]) -> None:
    """One segment at the state's instant: the answer, the exact turn, and both sides of it."""
    verdict, counted = plan.segments[1].verdict, oracle.counted(seen, since)
    member, recheck_at = verdict(state.slots, state.as_of)
    assert member is oracle.member(definition, counted, state.as_of)
    assert recheck_at == oracle.next_turn(definition, counted, state.as_of)
    if recheck_at == NEVER:
        return
    before, at = recheck_at - 1, recheck_at
    assert recheck_at > state.as_of
    assert verdict(state.slots, before) == (member, recheck_at if before >= state.as_of else NEVER)
    assert oracle.member(definition, counted, before) is member
    assert verdict(state.slots, at) == (not member, oracle.next_turn(definition, counted, at))
    assert oracle.member(definition, counted, at) is not member


@settings(max_examples=2_000)
@given(definitions, logs(), st.sampled_from((0, 0, 1, 5)))
def test_the_kernel_agrees_with_the_oracle_after_every_event_and_at_every_turn(
    definition: dict[str, Any], log: list[Event], since: int
) -> None:
    plan, state = plan_of([definition], [since]), UserState()
    for number, event in enumerate(log, 1):
        take_in(plan, state, event)
        check(definition, since, plan, state, log[:number])
    counted = oracle.counted(log, since)
    for instant in oracle.candidates(definition, counted):
        if instant >= state.as_of:
            answer = oracle.member(definition, counted, instant)
            assert plan.segments[1].verdict(state.slots, instant)[0] is answer
