"""Answers to questions about one user, from the state as it is. Pure: nothing of the table or of a user changes."""

from collections.abc import Collection

from services.evaluator.state_table import StateTable
from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import user_key
from shared.contracts.question import Explain, Explained, Refused, Tried, Try
from shared.domain.compiled_segment import CompiledSegment
from shared.domain.errors import InvalidEvent
from shared.domain.evidence import evidence_of
from shared.domain.explanation import explain, nothing_found, turn_of
from shared.domain.fold import fold, is_repeat
from shared.domain.plan import compile_plan
from shared.domain.user_state import Slots, UserState, decode_state, encode_state

_NO_PLAN = compile_plan(())


def answer_to(ask: Explain | Try, table: StateTable) -> Explained | Tried | Refused:
    """What the partition's state says at its clock."""
    if not table.record.clock:
        return Refused("the partition has just begun to be followed")
    return _explained(ask, table) if isinstance(ask, Explain) else _tried(ask, table)


def _explained(ask: Explain, table: StateTable) -> Explained | Refused:
    plan, activation = table.plans.get(ask.tenant, _NO_PLAN), table.serving(ask.tenant, ask.segment_id)
    if activation is None or ask.segment_id not in plan.segments:
        return Refused("the segment's active version has not been taken in yet")
    state = table.read(user_key(ask.tenant, ask.user_id))
    as_of = _as_of(table, state)
    if state is None:
        found = nothing_found(activation)
        return Explained(as_of, activation.version, False, False, None, found, [])
    member, recheck_at = plan.segments[ask.segment_id].verdict(state.slots, as_of)
    return Explained(
        as_of,
        activation.version,
        known=True,
        member=member,
        next_change_at=turn_of(recheck_at),
        conditions=explain(activation, plan, state.slots, as_of),
        evidence=evidence_of(activation, plan, state.slots, as_of) if ask.evidence else [],
    )


def _tried(ask: Try, table: StateTable) -> Tried | Refused:
    message = decode_event(ask.event)
    plan = table.plans.get(message.tenant, _NO_PLAN)
    state = table.read(user_key(message.tenant, message.user_id))
    as_of = _as_of(table, state)
    try:
        event = to_event(message, as_of, table.next_offset)
    except InvalidEvent:
        # the api has looked at `occurred_at` by its own clock
        return Refused("the partition's clock is more than an hour behind")
    segments: Collection[CompiledSegment] = plan.segments.values()
    if state is not None:  # of a user who becomes known by the event, every membership may turn
        segments = [segment for segment in segments if segment.event_types.has(event.event_type)]
    before = set() if state is None else _members(segments, state.slots, as_of)
    copy = UserState() if state is None else decode_state(encode_state(state))
    counted = not is_repeat(copy, event)
    if counted:
        fold(plan.by_event_type.get(event.event_type, plan.other), copy.slots, event)
    after = _members(segments, copy.slots, as_of)
    entered, exited = sorted(after - before), sorted(before - after)
    return Tried(as_of, counted, entered, exited, len(plan.segments) - len(entered) - len(exited))


def _members(segments: Collection[CompiledSegment], slots: Slots, as_of: int) -> set[int]:
    return {segment.segment_id for segment in segments if segment.verdict(slots, as_of)[0]}


def _as_of(table: StateTable, state: UserState | None) -> int:
    # a user's record may be durable when the record with the clock is not
    return max(table.record.clock, 0 if state is None else state.as_of)
