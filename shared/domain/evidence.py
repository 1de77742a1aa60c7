"""What is kept of a user's events that led to an answer: the newest of them, and why it may be off."""

from typing import Any

import msgspec

from shared.domain.aggregate import NO_TIME, Kind, aggregate_of
from shared.domain.bucket import LIMIT, PER_WINDOW
from shared.domain.compiled_segment import Activation, slot_key
from shared.domain.condition import Condition, EventCount, EventSequence, Monetary, SegmentMembership, leaves
from shared.domain.label import duration
from shared.domain.newest_times import counted
from shared.domain.numbers import number_of
from shared.domain.pairs import columns_after
from shared.domain.plan import Plan
from shared.domain.sequence import events_kept, lost_events
from shared.domain.user_state import Partial, Slots

MAX_EVENTS = 10


class KeptEvents(msgspec.Struct, frozen=True):
    """One event, or several that are kept as one.

    occurred_at: microseconds, of the newest of them. value: of the property; of several numbers their sum. steps: of
    the sequence, from 1 on, that the event fits.
    """

    occurred_at: int
    count: int = 1
    value: Any = None
    steps: list[int] = []


class Evidence(msgspec.Struct, frozen=True):
    """What one condition has to go by: the newest of the `kept` events. approximate: why the answer may be off."""

    events: list[KeptEvents]
    kept: int
    approximate: str | None = None


NOTHING = Evidence([], 0)


def evidence_of(activation: Activation, plan: Plan, slots: Slots, as_of: int) -> list[Evidence]:
    """The evidence of each condition, in the order in which they are written; of all-time numbers nothing else is kept.

    `as_of`: microseconds, not earlier than any event folded.
    """
    return [_evidence(leaf, activation.since, plan, slots, as_of) for leaf in leaves(activation.definition)]


def _evidence(condition: Condition, since: int, plan: Plan, slots: Slots, as_of: int) -> Evidence:
    if isinstance(condition, SegmentMembership):
        return NOTHING
    slot = plan.slots[slot_key(aggregate_of(condition), since)]
    partial = slots.get(slot.key) or slot.verbs.zero()
    if isinstance(condition, EventSequence):
        return _of_sequence(condition, partial)
    events, kept = _newest(condition, slot.aggregate.kind, partial, as_of)
    return Evidence(events, kept, _folded(condition) if slot.is_approximate(slots) else None)


def _newest(condition: Condition, kind: Kind, partial: Partial, as_of: int) -> tuple[list[KeptEvents], int]:
    """The newest events, and how many there are in all."""
    match kind:
        case "times":
            edge = as_of - _window(condition)
            entries = [entry for entry in reversed(counted(partial)) if entry[0] > edge]
            return [KeptEvents(*entry) for entry in entries[:MAX_EVENTS]], len(entries)
        case "pairs":
            times, counts, sums, *_ = columns_after(partial, as_of - _window(condition))
            newest = zip(times[:MAX_EVENTS], counts, map(number_of, sums), strict=False)
            return [KeptEvents(*entry) for entry in newest], len(times)
        case "newest" | "value" if partial[0] != NO_TIME:
            return [KeptEvents(partial[0], value=partial[2] if kind == "value" else None)], 1
    return [], 0


def _window(condition: Condition) -> int:
    assert isinstance(condition, EventCount | Monetary)
    assert condition.window_us is not None
    return condition.window_us


def _folded(condition: Condition) -> str:
    bucket = duration(max(1, _window(condition) // PER_WINDOW))
    return f"more than {LIMIT} events are kept: the oldest are kept in groups and leave the window up to {bucket} late"


def _of_sequence(condition: EventSequence, partial: Partial) -> Evidence:
    entries = events_kept(condition, partial)
    lost = lost_events(partial)
    events = [
        KeptEvents(time, steps=[step + 1 for step in range(len(condition.steps)) if mask >> step & 1])
        for time, _, mask in entries[: -MAX_EVENTS - 1 : -1]
    ]
    why = f"only the {LIMIT} newest events are looked at: {lost} older ones were passed over" if lost else None
    return Evidence(events, len(entries), why)
