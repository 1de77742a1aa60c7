"""A definition as a tree of values: groups, and the conditions at its leaves."""

from typing import Literal, NamedTuple, get_args

import msgspec

from shared.domain.comparison import CountOperator, RecencyOperator
from shared.domain.value_test import ValueTest

Metric = Literal["sum", "avg", "max", "min"]
METRICS: tuple[str, ...] = get_args(Metric)

Logic = Literal["AND", "OR"]
LOGICS: tuple[str, ...] = get_args(Logic)


MembershipOperator = Literal["in", "not_in"]
MEMBERSHIP_OPERATORS: tuple[str, ...] = get_args(MembershipOperator)

PROPERTIES_EVENT = "context_identified"
"""The event that sets user properties: the payload of a user's latest one is the user's properties."""


class Filter(msgspec.Struct, frozen=True):
    """Only events whose property passes the test are looked at."""

    property: str
    test: ValueTest


Filters = tuple[Filter, ...]
"""All must hold; none lets every event pass."""


class EventCount(msgspec.Struct, frozen=True, tag="event_count"):
    """How many events of a type (in the window, if one is given) compare with `value`."""

    event_type: str
    operator: CountOperator
    value: int
    window_us: int | None = None
    negate: bool = False
    filters: Filters = ()


class Recency(msgspec.Struct, frozen=True, tag="recency"):
    """How long ago the newest event of a type lies, compared with the window.

    `eq` compares whole units of `unit_us`, the unit the window was given in. Never fired: false.
    """

    event_type: str
    operator: RecencyOperator
    window_us: int
    unit_us: int
    negate: bool = False
    filters: Filters = ()


class Monetary(msgspec.Struct, frozen=True, tag="monetary"):
    """A metric over the numbers of a property, compared with `value_micro` (1e-6 units).

    No number: `sum` is 0, the other metrics have none and the condition is false.
    """

    event_type: str
    property: str
    metric: Metric
    operator: CountOperator
    value_micro: int
    window_us: int | None = None
    negate: bool = False
    filters: Filters = ()


class EventProperty(msgspec.Struct, frozen=True, tag="event_property"):
    """A property in the payload of the newest event of a type. No such event: the property is missing."""

    event_type: str
    property: str
    test: ValueTest
    negate: bool = False


class UserProperty(msgspec.Struct, frozen=True, tag="user_property"):
    """A property of the user."""

    property: str
    test: ValueTest
    negate: bool = False


class Step(msgspec.Struct, frozen=True):
    """One step of a sequence: an event of a type that passes the filters."""

    event_type: str
    filters: Filters = ()


class EventSequence(msgspec.Struct, frozen=True, tag="event_sequence"):
    """Events of these steps in this order, the last at most `window_us` after the first.

    strict: no other event of the user between two consecutive ones; those that set properties never interrupt.
    """

    steps: tuple[Step, ...]
    window_us: int
    strict: bool = False
    negate: bool = False


class SegmentMembership(msgspec.Struct, frozen=True, tag="segment_membership"):
    """Whether the user is a member of another segment's active version at the same instant."""

    segment_id: int
    operator: MembershipOperator
    negate: bool = False


Gathering = EventCount | Recency | Monetary | EventProperty | UserProperty | EventSequence
"""Conditions that need something to be gathered of a user's events."""

Condition = Gathering | SegmentMembership


class Group(msgspec.Struct, frozen=True, tag="group"):
    """Conditions and groups joined by `logic`; `negate` turns the answer around, last."""

    logic: Logic
    conditions: "tuple[Condition | Group, ...]"
    negate: bool = False


Item = Condition | Group
Definition = Group


class EventTypes(NamedTuple):
    """The types of the events that may change an answer: those named, and with `others` all but `PROPERTIES_EVENT`."""

    named: frozenset[str] = frozenset()
    others: bool = False

    def has(self, event_type: str | None) -> bool:
        """Whether it is one of them; None stands for a type that nothing names."""
        return event_type in self.named or (self.others and event_type != PROPERTIES_EVENT)

    def __or__(self, other: "EventTypes") -> "EventTypes":
        return EventTypes(self.named | other.named, self.others or other.others)


def event_types(condition: Gathering) -> EventTypes:
    """The types of the events that a condition gathers."""
    if isinstance(condition, UserProperty):
        return EventTypes(frozenset((PROPERTIES_EVENT,)))
    if isinstance(condition, EventSequence):
        return EventTypes(frozenset(step.event_type for step in condition.steps), condition.strict)
    return EventTypes(frozenset((condition.event_type,)))


def placed_items(item: Item, path: str) -> list[tuple[str, Item]]:
    """The items of a group that lies at `path`, each with its own JSON path; a condition has none."""
    items = item.conditions if isinstance(item, Group) else ()
    return [(f"{path}.conditions[{index}]", child) for index, child in enumerate(items)]


def placed_leaves(item: Item, path: str = "$") -> list[tuple[str, Condition]]:
    """All conditions of an item with their JSON paths, in the order in which they are written."""
    if not isinstance(item, Group):
        return [(path, item)]
    return [leaf for place, child in placed_items(item, path) for leaf in placed_leaves(child, place)]


def leaves(item: Item) -> list[Condition]:
    """All conditions of an item, in the order in which they are written."""
    return [leaf for _, leaf in placed_leaves(item)]


def gathering(item: Item) -> list[Gathering]:
    """The conditions of an item that gather something, in the order in which they are written."""
    return [leaf for leaf in leaves(item) if not isinstance(leaf, SegmentMembership)]


def references(item: Item) -> set[int]:
    """The ids of the segments that an item refers to."""
    return {leaf.segment_id for leaf in leaves(item) if isinstance(leaf, SegmentMembership)}
