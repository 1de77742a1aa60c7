"""The meaning of a definition, computed the slow and plain way from all events: what the kernel is held against.

It reads the JSON of a definition itself, keeps nothing between two questions and uses exact fractions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from statistics import mean
from typing import Any

from shared.domain.event import Event
from tests.support.oracle_values import COMPARISONS, Json, exact, holds, property_of

NEVER = (1 << 63) - 1
SECOND = 1_000_000
DAY = 86_400 * SECOND
UNITS = {"window_days": DAY, "window_hours": 3_600 * SECOND, "window_minutes": 60 * SECOND, "window_seconds": SECOND}


def counted(events: Iterable[Event]) -> list[Event]:
    """The events of one user that count, in log order.

    Dropped is one if the previous with its id in the log, itself dropped or not, was received less than 24 h before.
    """
    received: dict[str, int] = {}
    kept = []
    for event in sorted(events, key=lambda event: event.offset):
        if event.event_id is not None:
            before = received.get(event.event_id)
            received[event.event_id] = event.received_at
            if before is not None and event.received_at - before < DAY:
                continue
        kept.append(event)
    return kept


def member(definition: Json, events: Sequence[Event], as_of: int) -> bool:
    """Whether a known user with these events (as `counted` gives them) is in at `as_of`.

    A `segment_membership` carries the definition it asks about under `definition`; without one it has no members.
    Any other condition may say under `since` which offset is the first it looks at.
    """
    return combined(definition, lambda condition: answer(condition, events, as_of))


def answer(condition: Json, events: Sequence[Event], as_of: int) -> bool:
    """What one condition says, but for references, before it is negated."""
    return _CONDITIONS[condition["type"]](condition, _seen(condition, events, as_of), as_of)


def combined(item: Json, answer_of: Callable[[Json], bool]) -> bool:
    """The answer of a definition or a part of it, from those of its conditions before they are negated."""
    if item.get("type") == "segment_membership":
        other = item.get("definition")
        holds = (other is not None and combined(other, answer_of)) is (item["operator"] == "in")
    elif "logic" in item:
        answers = [combined(part, answer_of) for part in item["conditions"]]
        holds = all(answers) if item["logic"] == "AND" else any(answers)
    else:
        holds = answer_of(item)
    return holds is not item.get("negate", False)


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
    if definition["type"] == "segment_membership":
        return candidates(definition["definition"], events) if "definition" in definition else set()
    if definition["type"] not in ("event_count", "recency", "monetary"):
        return set()
    times = {event.occurred_at for event in events if event.event_type == definition["event_type"]}
    return {time + age for time in times for age in _ages(definition)}


def window_of(condition: Json) -> tuple[int, int] | None:
    """A condition's window in microseconds, and the microseconds of its unit."""
    for key, unit in UNITS.items():
        if key in condition:
            # round() of a fraction is half-even
            return max(1, round(Fraction(Decimal(repr(condition[key]))) * unit)), unit
    return None


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
    metrics: dict[str, Callable[[list[Fraction]], Any]] = {"sum": sum, "avg": mean, "max": max, "min": min}
    return COMPARISONS[condition["operator"]](metrics[condition["metric"]](values), threshold)


def _in_window(condition: Json, seen: list[Event], as_of: int) -> list[Event]:
    window = window_of(condition)
    return seen if window is None else [event for event in seen if event.occurred_at > as_of - window[0]]


def _ages(condition: Json) -> Iterator[int]:
    window = window_of(condition)
    if window is not None:
        length, unit = window
        yield from (length, length + 1, length // unit * unit, (length // unit + 1) * unit)


def _seen(condition: Json, events: Sequence[Event], as_of: int) -> list[Event]:
    """The events up to `as_of` that a condition looks at, by time, then by place in the log."""
    counting = (e for e in events if e.occurred_at <= as_of and e.offset >= condition.get("since", 0))
    known = sorted(counting, key=lambda event: (event.occurred_at, event.offset))
    if condition["type"] == "event_sequence":
        return known
    event_type = condition.get("event_type", "context_identified")
    return [e for e in known if e.event_type == event_type and _passes(condition, e)]


def _passes(filtered: Json, event: Event) -> bool:
    return all(holds(each, property_of(event.payload, each["property"])) for each in filtered.get("filters", ()))


def _newest_value(condition: Json, seen: list[Event], _as_of: int) -> bool:
    return holds(condition, property_of(seen[-1].payload, condition["property"]) if seen else None)


def _event_sequence(condition: Json, seen: list[Event], _as_of: int) -> bool:
    window = window_of(condition)
    assert window is not None
    steps = [{"event_type": step} if isinstance(step, str) else step for step in condition["events"]]

    def fits(step: int, event: Event) -> bool:
        return bool(event.event_type == steps[step]["event_type"]) and _passes(steps[step], event)

    def ends(step: int, at: int, start: int) -> bool:
        """Whether a chain that has come to the event at `at` as `step`, begun at `start`, can be ended."""
        if step == len(steps) - 1:
            return seen[at].occurred_at - start <= window[0]
        for following in range(at + 1, len(seen)):
            if seen[following].occurred_at - start > window[0]:
                return False  # and so is every later one
            if fits(step + 1, seen[following]) and ends(step + 1, following, start):
                return True
            if condition.get("strict") and seen[following].event_type != "context_identified":
                return False
        return False

    return any(fits(0, event) and ends(0, at, event.occurred_at) for at, event in enumerate(seen))


_CONDITIONS: dict[str, Callable[[Json, list[Event], int], bool]] = {
    "event_count": _event_count,
    "recency": _recency,
    "monetary": _monetary,
    "event_property": _newest_value,
    "user_property": _newest_value,
    "event_sequence": _event_sequence,
}
