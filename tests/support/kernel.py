"""Running the kernel as its callers do: one user, one log, some segments."""

from collections.abc import Iterable, Sequence
from typing import Any

from shared.domain.compiled_segment import Activation
from shared.domain.definition import parse_definition
from shared.domain.event import Event
from shared.domain.fold import fold, fold_and_watch, is_repeat
from shared.domain.pairs import drop_through
from shared.domain.plan import Plan, compile_plan
from shared.domain.user_state import Slots, UserState


def plan_of(definitions: Iterable[dict[str, Any]], sinces: Iterable[int] = ()) -> Plan:
    """The plan of definitions served as segments 1, 2, ...; counting from 0 where no `since` is given."""
    starts = iter(sinces)
    return compile_plan(
        Activation(number, 1, parse_definition(definition), next(starts, 0), serving=True)
        for number, definition in enumerate(definitions, 1)
    )


def take_in(plan: Plan, state: UserState, event: Event, awake: set[int] | None = None) -> set[int]:
    """One event, as the evaluator takes it in: once for each offset, repeats dropped. The segments it names."""
    if event.offset <= state.applied_offset:
        return set()
    state.applied_offset = event.offset
    state.as_of = max(state.as_of, event.received_at)
    if event.event_id is not None and is_repeat(state, event):
        return set()
    touched = plan.by_event_type.get(event.event_type, plan.other)
    awake = plan.awake(state.slots, state.as_of) if awake is None else awake
    return set(fold_and_watch(touched, state.slots, event, state.as_of, awake))


def state_after(plan: Plan, events: Sequence[Event]) -> UserState:
    """The state of the user after a log."""
    state = UserState()
    for event in events:
        take_in(plan, state, event)
    return state


def fold_all(plan: Plan, events: Iterable[Event]) -> Slots:
    """The slots after folding events in any order, without looking at ids and offsets."""
    slots: Slots = {}
    for event in events:
        fold(plan.by_event_type.get(event.event_type, plan.other), slots, event)
    return slots


def merged(plan: Plan, one: Slots, other: Slots) -> Slots:
    """Two users' slots as those of one; what one lacks is a zero."""
    return {
        key: slot.verbs.merge(one.get(key, slot.verbs.zero()), other.get(key, slot.verbs.zero()))
        for key, slot in plan.slots.items()
        if key in one or key in other
    }


def trimmed(plan: Plan, slots: Slots, as_of: int) -> Slots:
    """Slots without the pairs that no window reaches at `as_of`: when those are dropped shows in no answer."""
    for key, partial in slots.items():
        if plan.slots[key].aggregate.kind == "pairs":
            drop_through(partial, as_of - plan.slots[key].windows[-1])
    return slots
