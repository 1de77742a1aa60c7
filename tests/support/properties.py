"""What holds of the kernel after every event, as a check that a property test or a broken kernel can call."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from shared.domain.compiled_segment import CompiledSegment
from shared.domain.event import Event
from shared.domain.user_state import NEVER, UserState
from tests.support import oracle
from tests.support.kernel import fold_all, merged, plan_of, take_in, trimmed
from tests.support.served import as_served


def check_every_step(definitions: Sequence[dict[str, Any]], sinces: Sequence[int], log: Sequence[Event]) -> None:
    """After every event each segment agrees with the oracle, now, at its turn, and at any instant that may matter."""
    plan, state = plan_of(definitions, sinces), UserState()
    served = as_served(dict(enumerate(definitions, 1)), dict(enumerate(sinces, 1)))
    for number, event in enumerate(log, 1):
        take_in(plan, state, event)
        for segment_id, segment in plan.segments.items():
            _check_turn(segment, served[segment_id], state, oracle.counted(log[:number]))
    for segment_id, segment in plan.segments.items():
        _check_all_instants(segment, served[segment_id], state, oracle.counted(log))


def check_what_is_not_asked(definitions: Sequence[dict[str, Any]], log: Sequence[Event]) -> None:
    """An answer holds as long as it is steady, however many events come that do not name its segment."""
    plan, state, known = plan_of(definitions), UserState(), dict(enumerate(definitions, 1))
    served = as_served(known, dict.fromkeys(known, 0))
    held = {segment_id: segment.steady(state.slots, 0) for segment_id, segment in plan.segments.items()}
    awake: set[int] = set()
    for number, event in enumerate(log, 1):
        if number % 4 == 0:
            awake = plan.awake(state.slots, state.as_of)  # as when the user is read from its stored form
        named = take_in(plan, state, event, awake)
        counted = oracle.counted(log[:number])
        for segment_id, segment in plan.segments.items():
            _, until = held[segment_id]
            if segment_id in named or until <= state.as_of:  # an unsteady one is asked at every event
                held[segment_id] = segment.steady(state.slots, state.as_of)
            member, until = held[segment_id]
            assert oracle.member(served[segment_id], counted, state.as_of) is member
            turns_at = oracle.next_turn(served[segment_id], counted, state.as_of)
            assert until <= turns_at


def _check_turn(segment: CompiledSegment, definition: dict[str, Any], state: UserState, counted: list[Event]) -> None:
    member, recheck_at = segment.verdict(state.slots, state.as_of)
    assert member is oracle.member(definition, counted, state.as_of)
    assert recheck_at == oracle.next_turn(definition, counted, state.as_of)
    if recheck_at == NEVER:
        return
    assert recheck_at > state.as_of
    before, at = recheck_at - 1, recheck_at
    assert segment.verdict(state.slots, before) == (member, recheck_at)
    assert oracle.member(definition, counted, before) is member
    assert segment.verdict(state.slots, at) == (not member, oracle.next_turn(definition, counted, at))
    assert oracle.member(definition, counted, at) is not member


def _check_all_instants(
    segment: CompiledSegment, definition: dict[str, Any], state: UserState, counted: list[Event]
) -> None:
    for instant in oracle.candidates(definition, counted):
        for near in (instant - 1, instant):
            if near >= state.as_of:
                assert segment.verdict(state.slots, near)[0] is oracle.member(definition, counted, near)


def check_merge(definition: dict[str, Any], one: Sequence[Event], other: Sequence[Event]) -> None:
    """Two partials of a definition merged, either way, are what folding both lists gives."""
    plan = plan_of([definition])
    apart = [replace(event, offset=event.offset + 1_000) for event in other]  # no place in the log is taken twice
    as_of = max(event.received_at for event in (*one, *apart))
    both = trimmed(plan, fold_all(plan, [*one, *apart]), as_of)
    assert trimmed(plan, merged(plan, fold_all(plan, one), fold_all(plan, apart)), as_of) == both
    assert trimmed(plan, merged(plan, fold_all(plan, apart), fold_all(plan, one)), as_of) == both
