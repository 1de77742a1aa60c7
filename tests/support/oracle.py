"""The meaning of a definition, computed the slow and plain way from all events: what the kernel is held against.

It reads the JSON of a definition itself, keeps nothing between two questions and uses exact fractions.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

from shared.domain.event import Event

Json = dict[str, Any]

NEVER = (1 << 63) - 1

SECOND = 1_000_000
DAY = 86_400 * SECOND
UNITS = {
    "window_days": DAY,
    "window_hours": 3_600 * SECOND,
    "window_minutes": 60 * SECOND,
    "window_seconds": SECOND,
}

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

_CONTEXT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def counted(events: Iterable[Event], since: int = 0) -> list[Event]:
    """The events of one user that count, in log order: repeats are dropped, and what lies below `since`.

    An event is a repeat if the previous event with its id in the log, itself dropped or not, was received less
    than 24 h before.
    """
    received: dict[str, int] = {}
    kept = []
    for event in sorted(events, key=lambda event: event.offset):
        if event.event_id is not None:
            before = received.get(event.event_id)
            received[event.event_id] = event.received_at
            if before is not None and event.received_at - before < DAY:
                continue
        if event.offset >= since:
            kept.append(event)
    return kept


def member(definition: Json, events: Sequence[Event], as_of: int) -> bool:
    """Whether a known user with these events (as `counted` gives them) is in at `as_of`."""
    if "logic" in definition:
        answers = [member(item, events, as_of) for item in definition["conditions"]]
        answer = all(answers) if definition["logic"] == "AND" else any(answers)
    else:
        seen = [e for e in events if e.event_type == definition["event_type"] and e.occurred_at <= as_of]
        answer = _CONDITIONS[definition["type"]](definition, seen, as_of)
    return answer is not definition.get("negate", False)


def next_turn(definition: Json, events: Sequence[Event], as_of: int) -> int:
    """The earliest instant after `as_of` with another answer, if no further event came; NEVER if there is none."""
    now = member(definition, events, as_of)
    for instant in sorted(candidates(definition, events)):
        if instant > as_of and member(definition, events, instant) is not now:
            return instant
    return NEVER


def candidates(definition: Json, events: Sequence[Event]) -> set[int]:
    """All instants at which time alone could turn an answer around."""
    if "logic" in definition:
        return {instant for item in definition["conditions"] for instant in candidates(item, events)}
    times = {event.occurred_at for event in events if event.event_type == definition["event_type"]}
    return {time + age for time in times for age in _ages(definition)}


def window_of(condition: Json) -> tuple[int, int] | None:
    """A condition's window in microseconds, and the microseconds of its unit."""
    for key, unit in UNITS.items():
        if key in condition:
            # round() of a fraction is half-even
            return max(1, round(Fraction(Decimal(repr(condition[key]))) * unit)), unit
    return None


def exact(value: object) -> Fraction | None:
    """A JSON number by its shortest decimal form, half-even at 6 digits; None for everything else and from 1e15."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 10**15:
        return None
    return Fraction(Decimal(repr(value)).quantize(Decimal("0.000001"), context=_CONTEXT))


def property_of(payload: Json, name: str) -> object:
    """The value of a property: one literal key first, then a path; None when it is missing."""
    if name in payload:
        return payload[name]
    found: Any = payload
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _event_count(condition: Json, seen: list[Event], as_of: int) -> bool:
    return COMPARISONS[condition["operator"]](len(_in_window(condition, seen, as_of)), condition["value"])


def _recency(condition: Json, seen: list[Event], as_of: int) -> bool:
    window = window_of(condition)
    assert window is not None
    if not seen:
        return False
    age, (length, unit) = as_of - max(event.occurred_at for event in seen), window
    if condition["operator"] == "eq":
        return age // unit == length // unit
    return COMPARISONS[condition["operator"]](age, length)


def _monetary(condition: Json, seen: list[Event], as_of: int) -> bool:
    read = (exact(property_of(e.payload, condition["property"])) for e in _in_window(condition, seen, as_of))
    values = [value for value in read if value is not None]
    threshold = exact(condition["value"])
    if condition["metric"] != "sum" and not values:
        return False
    match condition["metric"]:
        case "sum":
            actual = sum(values, Fraction(0))
        case "avg":
            actual = sum(values, Fraction(0)) / len(values)
        case "max":
            actual = max(values)
        case _:
            actual = min(values)
    return COMPARISONS[condition["operator"]](actual, threshold)


def _in_window(condition: Json, seen: list[Event], as_of: int) -> list[Event]:
    window = window_of(condition)
    return seen if window is None else [event for event in seen if event.occurred_at > as_of - window[0]]


def _ages(condition: Json) -> Iterator[int]:
    window = window_of(condition)
    if window is not None:
        length, unit = window
        yield from (length, length + 1, length // unit * unit, (length // unit + 1) * unit)


_CONDITIONS: dict[str, Callable[[Json, list[Event], int], bool]] = {
    "event_count": _event_count,
    "recency": _recency,
    "monetary": _monetary,
}
