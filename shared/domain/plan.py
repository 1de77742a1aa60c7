"""The plan: all active definitions of a tenant compiled together, indexed by event type."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple, assert_never

import msgspec

from shared.domain.aggregate import Aggregate, Verbs, aggregate_of, count_verbs, newest_verbs, totals_verbs
from shared.domain.comparison import newest_needed
from shared.domain.condition import Condition, Definition, EventCount, leaves
from shared.domain.condition_verdict import Verdict
from shared.domain.evaluate import compile_verdict
from shared.domain.event import Event
from shared.domain.newest_times import times_verbs
from shared.domain.pairs import pairs_verbs
from shared.domain.user_state import Partial, Slots


class Activation(msgspec.Struct, frozen=True):
    """One version of a segment that is followed.

    since: its cutover offset; events below it are not folded into its slots.
    serving: its answer counts; otherwise it gathers state silently.
    """

    segment_id: int
    version: int
    definition: Definition
    since: int
    serving: bool


class SlotPlan(NamedTuple):
    """One partial of a user: an aggregate counted from one offset on, and the windows (us, ascending) over it."""

    key: str
    since: int
    aggregate: Aggregate
    windows: tuple[int, ...]
    verbs: Verbs

    def is_approximate(self, slots: Slots) -> bool:
        """Whether the user's oldest entries of this slot are in buckets: answers may be off by one bucket."""
        partial = slots.get(self.key)
        return partial is not None and self.aggregate.kind in ("times", "pairs") and partial[0] > 0


class CompiledSegment(NamedTuple):
    """A serving version; `verdict(slots, as_of)` -> (member, recheck_at) of a known user."""

    segment_id: int
    version: int
    verdict: Verdict


class EventPlan(NamedTuple):
    """What an event of one type touches: slots to fold, and serving segments to evaluate.

    folds: of each slot the key, `since`, and the verbs zero and add, at hand for the fold.
    """

    slots: tuple[SlotPlan, ...] = ()
    segments: tuple[CompiledSegment, ...] = ()
    folds: tuple[tuple[str, int, Callable[[], Partial], Callable[[Partial, Event], None]], ...] = ()


class Plan(NamedTuple):
    """Everything a partition's owner follows of one tenant.

    by_event_type: what an event of a type touches; `other` for all other types.
    segments: all serving, by id; an event that makes a user known must evaluate all of them.
    max_since: no slot counts from a later offset. slot_keys: slots not in it may be dropped from a state.
    """

    by_event_type: dict[str, EventPlan]
    segments: dict[int, CompiledSegment]
    slots: dict[str, SlotPlan]
    max_since: int
    slot_keys: frozenset[str]
    other: EventPlan = EventPlan()


def compile_plan(activations: Iterable[Activation]) -> Plan:
    """The plan of one tenant in one partition. At most one activation of a segment may serve."""
    followed = list(activations)
    sharing: dict[tuple[Aggregate, int], list[Condition]] = defaultdict(list)
    for activation in followed:
        for condition in leaves(activation.definition):
            sharing[aggregate_of(condition), activation.since].append(condition)
    slots = [_slot(aggregate, since, conditions) for (aggregate, since), conditions in sharing.items()]
    serving = [activation for activation in followed if activation.serving]
    segments = {activation.segment_id: _segment(activation) for activation in serving}
    types_of = {
        activation.segment_id: {condition.event_type for condition in leaves(activation.definition)}
        for activation in serving
    }

    def event_plan(event_type: str) -> EventPlan:
        own = tuple(slot for slot in slots if slot.aggregate.event_type == event_type)
        touched = tuple(segment for segment_id, segment in segments.items() if event_type in types_of[segment_id])
        return EventPlan(own, touched, tuple((slot.key, slot.since, slot.verbs.zero, slot.verbs.add) for slot in own))

    return Plan(
        {event_type: event_plan(event_type) for event_type in {slot.aggregate.event_type: None for slot in slots}},
        segments,
        {slot.key: slot for slot in slots},
        max((activation.since for activation in followed), default=0),
        frozenset(slot.key for slot in slots),
    )


def slot_key(aggregate: Aggregate, since: int) -> str:
    """The key of a slot in a user's state."""
    return f"{aggregate.content_hash()}@{since}"


def _segment(activation: Activation) -> CompiledSegment:
    keys = {
        condition: slot_key(aggregate_of(condition), activation.since) for condition in leaves(activation.definition)
    }
    return CompiledSegment(activation.segment_id, activation.version, compile_verdict(activation.definition, keys))


def _slot(aggregate: Aggregate, since: int, conditions: list[Condition]) -> SlotPlan:
    windows = tuple(sorted({c.window_us for c in conditions if c.window_us is not None}))
    return SlotPlan(slot_key(aggregate, since), since, aggregate, windows, _verbs(aggregate, conditions, windows))


def _verbs(aggregate: Aggregate, conditions: list[Condition], windows: tuple[int, ...]) -> Verbs:
    match aggregate.kind:
        case "count":
            return count_verbs()
        case "times":
            counts = (c for c in conditions if isinstance(c, EventCount))
            return times_verbs(max(newest_needed(c.operator, c.value) for c in counts), windows)
        case "newest":
            return newest_verbs()
        case "totals":
            return totals_verbs(str(aggregate.property))
        case "pairs":
            return pairs_verbs(str(aggregate.property), windows)
    assert_never(aggregate.kind)
