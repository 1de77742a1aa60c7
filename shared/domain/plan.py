"""The plan: all active definitions of a tenant compiled together, indexed by event type."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from shared.domain.aggregate import Aggregate, Verbs, by_aggregate, count_verbs, filtered, newest_verbs, totals_verbs
from shared.domain.bucket import LIMIT
from shared.domain.comparison import newest_needed
from shared.domain.compiled_segment import Activation, CompiledSegment, compile_segments, slot_since
from shared.domain.condition import (
    PROPERTIES_EVENT,
    Definition,
    EventCount,
    EventSequence,
    EventTypes,
    Gathering,
    Monetary,
    Recency,
    event_types,
    gathering,
)
from shared.domain.crossing import Add, watching
from shared.domain.event import Event
from shared.domain.event_filter import event_filter
from shared.domain.newest_times import times_verbs
from shared.domain.newest_value import value_verbs
from shared.domain.pairs import pairs_verbs
from shared.domain.requirement import requirements
from shared.domain.sequence import sequence_verbs
from shared.domain.thresholds import in_thresholds
from shared.domain.user_state import Partial, Slots

_BOUNDED = ("times", "pairs", "sequence")


class Role(IntEnum):
    """What a threshold is to a segment: one of all, the one it requires, or one that matters only besides that."""

    ANY = 0
    REQUIRED = 1
    BESIDES = 2


Watcher = tuple[int, CompiledSegment, Role]
"""A segment with its id, and what the threshold is to it."""

Take = Callable[[Partial, Event, int], Iterable[Watcher]]


class SlotPlan(NamedTuple):
    """One partial of a user: an aggregate counted from one offset on, and the windows (us, ascending) over it.

    newest: how many of the newest times decide all conditions over it.
    take: its verb `add`, which tells besides which segments to ask anew. required: which of those that require a
    condition over it have come to it. Both as `crossing.Watch` has them.
    """

    key: str
    since: int
    aggregate: Aggregate
    windows: tuple[int, ...]
    newest: int
    verbs: Verbs
    take: Take
    required: Callable[[Partial, int], Iterable[Watcher]]
    event_types: EventTypes

    def suffices(self, condition: Gathering) -> bool:
        """Whether it has kept what the condition, over the same aggregate, needs."""
        match condition:
            case EventCount(window_us=int(window)):
                enough = newest_needed(condition.operator, condition.value) <= self.newest
                return enough and (self.newest < LIMIT or window <= self.windows[-1])
            case Monetary(window_us=int(window)):
                return window <= self.windows[-1]
        return True

    def is_approximate(self, slots: Slots) -> bool:
        """Whether the user's oldest entries of this slot did not all fit.

        They are in buckets, and answers may be off by one bucket; of a sequence they were given up.
        """
        partial, kind = slots.get(self.key), self.aggregate.kind
        if partial is None or kind not in _BOUNDED:
            return False
        return bool(partial[1] if kind == "sequence" else partial[0])


class EventPlan(NamedTuple):
    """What an event of one type touches: slots to fold, and serving segments whose answer it may change.

    folds: of each slot the key, `since`, and the verbs zero, add and take, at hand for the fold.
    """

    slots: tuple[SlotPlan, ...] = ()
    segments: Mapping[int, CompiledSegment] = MappingProxyType({})
    folds: tuple[tuple[str, int, Callable[[], Partial], Add, Take], ...] = ()


class Plan(NamedTuple):
    """Everything a partition's owner follows of one tenant.

    by_event_type: what an event of a type touches; `other` for the types that nothing names.
    segments: all serving, by id; an event that makes a user known must evaluate all of them.
    slots: by key; what else a state holds may be dropped from it.
    """

    by_event_type: dict[str, EventPlan]
    segments: dict[int, CompiledSegment]
    slots: dict[str, SlotPlan]
    other: EventPlan = EventPlan()

    def gathered(self, definition: Definition, among: Callable[[SlotPlan], bool] = lambda _: True) -> dict[str, str]:
        """By content hash the aggregates of a definition that some slot gathers as it needs them, and its key: of the
        oldest of those that `among` holds of.
        """
        wanted, found = by_aggregate(gathering(definition)), dict[str, SlotPlan]()
        for slot in filter(among, self.slots.values()):
            conditions = wanted.get(slot.aggregate)
            if conditions and all(map(slot.suffices, conditions)):
                content = slot.aggregate.content_hash()
                found[content] = min(slot, found.get(content, slot), key=lambda each: each.since)
        return {content: slot.key for content, slot in found.items()}

    def awake(self, slots: Slots, as_of: int) -> set[int]:
        """The segments that require something to which the user has come: for the others it is all that matters."""
        return {
            segment_id
            for slot in self.slots.values()
            if (partial := slots.get(slot.key)) is not None
            for segment_id, _, _ in slot.required(partial, as_of)
        }


def compile_plan(activations: Iterable[Activation]) -> Plan:
    """The plan of one tenant in one partition. At most one activation of a segment may serve."""
    followed = list(activations)
    sharing: dict[tuple[str, Aggregate], list[Gathering]] = defaultdict(list)
    for activation in followed:
        for aggregate, conditions in by_aggregate(gathering(activation.definition)).items():
            sharing[activation.slot_for(aggregate), aggregate] += conditions
    segments = compile_segments([activation for activation in followed if activation.serving])
    watched = _watched(segments, requirements({a.segment_id: a.definition for a in followed if a.serving}))
    slots = [_slot(key, aggregate, conditions, watched) for (key, aggregate), conditions in sharing.items()]

    def event_plan(event_type: str | None) -> EventPlan:
        own = tuple(slot for slot in slots if slot.event_types.has(event_type))
        folds = tuple((slot.key, slot.since, slot.verbs.zero, slot.verbs.add, slot.take) for slot in own)
        return EventPlan(
            own, {n: segment for n, segment in segments.items() if segment.event_types.has(event_type)}, folds
        )

    named = [event_type for slot in slots for event_type in slot.event_types.named]
    if any(slot.event_types.others for slot in slots):
        named.append(PROPERTIES_EVENT)
    return Plan(
        {event_type: event_plan(event_type) for event_type in dict.fromkeys(named)},
        segments,
        {slot.key: slot for slot in slots},
        event_plan(None),
    )


def _watched(
    segments: Mapping[int, CompiledSegment], required: Mapping[int, Gathering]
) -> dict[str, list[tuple[Gathering, Watcher]]]:
    watched: dict[str, list[tuple[Gathering, Watcher]]] = defaultdict(list)
    for segment_id, segment in segments.items():
        thresholds = [(t, key) for condition, key in segment.conditions for t in gathering(in_thresholds(condition))]
        requirement = required.get(segment_id) if len(thresholds) > 1 else None
        for threshold, key in thresholds:
            role = Role.ANY if requirement is None else Role.REQUIRED if threshold == requirement else Role.BESIDES
            watched[key].append((threshold, (segment_id, segment, role)))
    return watched


def _slot(
    key: str,
    aggregate: Aggregate,
    conditions: list[Gathering],
    watched: Mapping[str, list[tuple[Gathering, Watcher]]],
) -> SlotPlan:
    watchers = watched.get(key, [])
    counted = (c for c in conditions if isinstance(c, EventCount | Monetary | Recency))
    windows = tuple(sorted({c.window_us for c in counted if c.window_us is not None}))
    newest = max((newest_needed(c.operator, c.value) for c in conditions if isinstance(c, EventCount)), default=0)
    verbs = filtered(_verbs(aggregate, windows, newest), event_filter(aggregate.filters))
    take = watching(aggregate, verbs.add, watchers).take
    required = watching(aggregate, verbs.add, [each for each in watchers if each[1][2] is Role.REQUIRED]).reached
    return SlotPlan(key, slot_since(key), aggregate, windows, newest, verbs, take, required, event_types(conditions[0]))


def _verbs(aggregate: Aggregate, windows: tuple[int, ...], newest: int) -> Verbs:
    match aggregate:
        case Aggregate(sequence=EventSequence() as sequence):
            verbs = sequence_verbs(sequence)
        case Aggregate(kind="value", property=str(name)):
            verbs = value_verbs(name)
        case Aggregate(kind="totals", property=str(name)):
            verbs = totals_verbs(name)
        case Aggregate(kind="pairs", property=str(name)):
            verbs = pairs_verbs(name, windows)
        case Aggregate(kind="times"):
            # one more than decides, so that a list that is full does not look like one that has just become so
            verbs = times_verbs(1 + newest, windows)
        case _:
            verbs = newest_verbs() if aggregate.kind == "newest" else count_verbs()
    return verbs
