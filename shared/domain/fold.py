"""Taking one event into a user's state."""

from shared.domain.compiled_segment import CompiledSegment
from shared.domain.event import Event
from shared.domain.plan import EventPlan, Role
from shared.domain.times import DAY_US
from shared.domain.user_state import Slots, UserState

REPEAT_US = DAY_US
"""An event whose id the user had less than this before is dropped."""

MAX_EVENT_IDS = 10_000
"""Ids remembered of one user; beyond it the oldest are forgotten."""


def is_repeat(state: UserState, event: Event) -> bool:
    """Whether the user had this event's id less than 24 h before; remembers it either way.

    To be called once for each event with an `event_id`, in log order, before anything else.
    """
    event_id, received_at = event.event_id, event.received_at
    if event_id is None:
        return False
    event_ids = state.event_ids
    before = event_ids.pop(event_id, None)
    event_ids[event_id] = received_at
    forgotten = received_at - REPEAT_US
    while event_ids:
        oldest = next(iter(event_ids))
        if event_ids[oldest] > forgotten and len(event_ids) <= MAX_EVENT_IDS:
            break
        del event_ids[oldest]
    return before is not None and received_at - before < REPEAT_US


def fold(plan: EventPlan, slots: Slots, event: Event) -> None:
    """Add the event to every slot of its type that counts from its offset or before.

    Not repeatable: the caller folds each offset once.
    """
    offset = event.offset
    for key, since, zero, add, _ in plan.folds:
        if since <= offset:
            partial = slots.get(key)
            if partial is None:
                partial = slots[key] = zero()
            add(partial, event)


def fold_and_watch(
    plan: EventPlan, slots: Slots, event: Event, as_of: int, awake: set[int]
) -> dict[int, CompiledSegment]:
    """As `fold`; by id the segments whose answer may have turned at `as_of`, or will turn earlier than it would have.

    `as_of` is not earlier than the receipt of any event folded. `awake`: as `Plan.awake` gave it before the first of
    these events; what the user comes to is added.
    """
    offset = event.offset
    crossed: dict[int, CompiledSegment] = {}
    for key, since, zero, _, take in plan.folds:
        if since <= offset:
            partial = slots.get(key)
            if partial is None:
                partial = slots[key] = zero()
            for segment_id, segment, role in take(partial, event, as_of):
                if role:
                    if role is Role.REQUIRED:
                        awake.add(segment_id)
                    elif segment_id not in awake:
                        continue
                crossed[segment_id] = segment
    return crossed
