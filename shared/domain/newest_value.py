"""The aggregate `value`: a property in the payload of the newest event of a type.

Partial: [time, offset, value]: newest by time, then by place in the log. Of the value only what a test may look at is
kept: of an array its scalars, of an object that it is one.
"""

from typing import Any

from shared.domain.aggregate import NO_TIME, Verbs
from shared.domain.event import Event
from shared.domain.numbers import LIMIT
from shared.domain.property_path import MISSING, property_reader
from shared.domain.user_state import Partial


def value_verbs(name: str) -> Verbs:
    """The verbs for one property."""
    read = property_reader(name)

    def add(partial: Partial, event: Event) -> None:
        time = event.occurred_at
        if time > partial[0] or (time == partial[0] and event.offset > partial[1]):
            partial[:] = (time, event.offset, kept(read(event.payload)))

    def merge(one: Partial, other: Partial) -> Partial:
        return list(one if (one[0], one[1]) >= (other[0], other[1]) else other)

    return Verbs(
        zero=lambda: [NO_TIME, 0, None],
        add=add,
        merge=merge,
        value=lambda partial, _as_of, _window: partial[2],
    )


def kept(value: Any) -> Any:
    """What is kept of a value: all that a test may look at."""
    kind = type(value)
    if kind is list:
        return [kept(element) for element in value if type(element) in (str, int, float, bool)]
    if kind is dict or (kind is int and not -LIMIT < value < LIMIT):
        return {}  # set, but of no type that a test knows
    return None if value is MISSING else value
