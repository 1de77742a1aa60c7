"""Aggregates: what is kept of a user's events of one type. A closed list of kinds, each with four verbs."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, assert_never

import msgspec

from shared.domain.condition import (
    PROPERTIES_EVENT,
    EventCount,
    EventProperty,
    EventSequence,
    Filters,
    Gathering,
    Monetary,
    Recency,
    UserProperty,
)
from shared.domain.event import Event
from shared.domain.numbers import to_micro_units
from shared.domain.property_path import property_reader
from shared.domain.user_state import Partial

Kind = Literal["count", "times", "newest", "totals", "pairs", "value", "sequence"]
"""count: a number. times: the newest times. newest: one time. totals: sum, count, max, min. pairs: (time, value).
value: the newest value of a property. sequence: events in their order."""


class Aggregate(msgspec.Struct, frozen=True):
    """What is gathered: conditions that differ only in N, window, operator or value share one.

    event_type: of the events that are looked at; a sequence names them in its steps.
    """

    kind: Kind
    event_type: str = ""
    property: str | None = None
    filters: Filters = ()
    sequence: EventSequence | None = None

    def content_hash(self) -> str:
        """The identity of the aggregate in stored state: 18 hex digits, frozen."""
        parts: list[Any] = [self.kind, self.event_type, self.property, msgspec.to_builtins(self.filters)]
        if self.sequence is not None:
            parts.append(msgspec.to_builtins(self.sequence))
        # json, not msgspec: it writes integers of any size
        content = json.dumps(parts, ensure_ascii=False)
        return hashlib.blake2b(content.encode(), digest_size=9).hexdigest()


class Verbs(NamedTuple):
    """The four verbs of an aggregate.

    zero: a partial that has seen nothing. add: take one event of the type into a partial, in place.
    merge: a new partial that has seen what both have. value: (partial, as_of, window_us or None) -> what it says;
    `as_of` is not earlier than any event seen.
    """

    zero: Callable[[], Partial]
    add: Callable[[Partial, Event], None]
    merge: Callable[[Partial, Partial], Partial]
    value: Callable[[Partial, int, int | None], Any]


class Totals(NamedTuple):
    """Of the numbers of a property: how many, and in 1e-6 units their sum, maximum and minimum (0 for none)."""

    numbers: int
    sum: int
    max: int
    min: int


NOTHING = Totals(0, 0, 0, 0)

NO_TIME = -1
"""The newest time of a user without such an event."""


def aggregate_of(condition: Gathering) -> Aggregate:
    """The aggregate that a condition needs."""
    match condition:
        case EventCount():
            kind: Kind = "count" if condition.window_us is None else "times"
            return Aggregate(kind, condition.event_type, filters=condition.filters)
        case Recency():
            return Aggregate("newest", condition.event_type, filters=condition.filters)
        case Monetary():
            kind = "totals" if condition.window_us is None else "pairs"
            return Aggregate(kind, condition.event_type, condition.property, condition.filters)
        case EventProperty():
            return Aggregate("value", condition.event_type, condition.property)
        case UserProperty():
            return Aggregate("value", PROPERTIES_EVENT, condition.property)
        case EventSequence():
            return Aggregate("sequence", sequence=msgspec.structs.replace(condition, negate=False))
    assert_never(condition)


def by_aggregate(conditions: Iterable[Gathering]) -> dict[Aggregate, list[Gathering]]:
    """The conditions with the aggregate that they share."""
    sharing: dict[Aggregate, list[Gathering]] = {}
    for condition in conditions:
        sharing.setdefault(aggregate_of(condition), []).append(condition)
    return sharing


def number_reader(name: str) -> Callable[[dict[str, Any]], int | None]:
    """A function from a payload to the property in 1e-6 units; None when it is no number, or 1e15 or more."""
    read = property_reader(name)

    def read_number(payload: dict[str, Any]) -> int | None:
        value = read(payload)
        # by exact type: a boolean is an int of Python, but no number of JSON
        return to_micro_units(value) if type(value) is float or type(value) is int else None

    return read_number


def filtered(verbs: Verbs, passes: Callable[[dict[str, Any]], bool] | None) -> Verbs:
    """The verbs over the events whose payload passes; None passes all."""
    if passes is None:
        return verbs
    add_any = verbs.add

    def add(partial: Partial, event: Event) -> None:
        if passes(event.payload):
            add_any(partial, event)

    return verbs._replace(add=add)


def count_verbs() -> Verbs:
    """Partial: [count]."""

    def add(partial: Partial, _event: Event) -> None:
        partial[0] += 1

    return Verbs(
        zero=lambda: [0],
        add=add,
        merge=lambda one, other: [one[0] + other[0]],
        value=lambda partial, _as_of, _window: partial[0],
    )


def newest_verbs() -> Verbs:
    """Partial: [newest time, or NO_TIME]."""

    def add(partial: Partial, event: Event) -> None:
        if event.occurred_at > partial[0]:  # noqa: PLR1730 - a call of max costs more than the rest
            partial[0] = event.occurred_at

    return Verbs(
        zero=lambda: [NO_TIME],
        add=add,
        merge=max,
        value=lambda partial, _as_of, _window: None if partial[0] == NO_TIME else partial[0],
    )


def totals_verbs(name: str) -> Verbs:
    """Partial: [count, sum, max, min] of the numbers of a property."""
    read = number_reader(name)

    def add(partial: Partial, event: Event) -> None:
        value = read(event.payload)
        if value is None:
            return
        if not partial[0]:
            partial[:] = (1, value, value, value)
            return
        partial[0] += 1
        partial[1] += value
        if value > partial[2]:
            partial[2] = value
        elif value < partial[3]:
            partial[3] = value

    def merge(one: Partial, other: Partial) -> Partial:
        if not one[0] or not other[0]:
            return list(one if one[0] else other)
        return [one[0] + other[0], one[1] + other[1], max(one[2], other[2]), min(one[3], other[3])]

    return Verbs(
        zero=lambda: [0, 0, 0, 0],
        add=add,
        merge=merge,
        value=lambda partial, _as_of, _window: Totals(*partial),
    )
