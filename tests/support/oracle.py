"""The meaning of a definition, computed the slow and plain way from all events: what the kernel is held against.

It reads the JSON of a definition itself, keeps nothing between two questions and uses exact fractions.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import partial
from statistics import mean
from typing import Any

import re2

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

_SIX = (operator.eq, operator.ne, operator.gt, operator.ge, operator.lt, operator.le)
COMPARISONS: dict[str, Callable[..., bool]] = dict(zip(("eq", "neq", "gt", "gte", "lt", "lte"), _SIX, strict=True))
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_CONTEXT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def counted(events: Iterable[Event]) -> list[Event]:
    """The events of one user that count, in log order: repeats are dropped.

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
        kept.append(event)
    return kept


def member(definition: Json, events: Sequence[Event], as_of: int) -> bool:
    """Whether a known user with these events (as `counted` gives them) is in at `as_of`.

    A `segment_membership` carries the definition it asks about under `definition`; without one it has no members.
    Any other condition may say under `since` which offset is the first it looks at.
    """
    if definition.get("type") == "segment_membership":
        other = definition.get("definition")
        answer = (other is not None and member(other, events, as_of)) is (definition["operator"] == "in")
    elif "logic" in definition:
        answers = [member(item, events, as_of) for item in definition["conditions"]]
        answer = all(answers) if definition["logic"] == "AND" else any(answers)
    else:
        answer = _CONDITIONS[definition["type"]](definition, _seen(definition, events, as_of), as_of)
    return answer is not definition.get("negate", False)


def with_references(definition: Json, definitions: Mapping[int, Json]) -> Json:
    """A definition whose references carry the definitions they ask about; one that is missing has no members."""
    if "logic" in definition:
        return definition | {"conditions": [with_references(item, definitions) for item in definition["conditions"]]}
    if definition["type"] != "segment_membership" or definition["segment_id"] not in definitions:
        return definition
    return definition | {"definition": with_references(definitions[definition["segment_id"]], definitions)}


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
            if fits(step + 1, seen[following]) and ends(step + 1, following, start):
                return True
            if condition.get("strict") and seen[following].event_type != "context_identified":
                return False
        return False

    return any(fits(0, event) and ends(0, at, event.occurred_at) for at, event in enumerate(seen))


def kind_of(value: object) -> tuple[str, Any] | None:
    """The JSON type of a scalar, and what it is compared by; None for everything else."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, str):
        return "string", value
    number = exact(value)
    return None if number is None else ("number", number)


def _instant(value: object) -> datetime | None:
    """A time of the language. The library's reader knows more forms, so the form is looked at first."""
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _compared(op: str, actual: Any, value: Any) -> bool:
    """Whether a value lies so to the others: by type, strings as instants if all of them are times."""
    others = value if isinstance(value, list) else [value]
    kinds = [kind_of(value) for value in (actual, *others)]
    if any(kind is None or kind[0] != kinds[-1][0] for kind in kinds):  # type: ignore[index] # None is looked at first
        return False
    instants = [_instant(value) for value in (actual, *others)]
    compared: list[Any] = [*instants] if all(instants) else [kind[1] for kind in kinds if kind is not None]
    mine, *theirs = compared
    if op in ("between", "not_between"):
        return (theirs[0] <= mine <= theirs[1]) is (op == "between")
    return COMPARISONS[op](mine, theirs[0])


def holds(test: Json, actual: Any) -> bool:
    """Whether a value, None for missing, passes the operator of a condition or filter."""
    return _OPERATORS[test["operator"]](actual, test.get("value"))


def _equals_one(actual: Any, values: Any) -> bool:
    kind = kind_of(actual)
    return kind is not None and kind in map(kind_of, values)


def _equals_none(actual: Any, values: Any) -> bool:
    kind, listed = kind_of(actual), [kind_of(value) for value in values]
    return kind is not None and kind not in listed and kind[0] in [each[0] for each in listed if each is not None]


def _text(op: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda actual, value: isinstance(actual, str) and isinstance(value, str) and op(actual, value)


def _contains(actual: Any, value: Any) -> bool:
    return _equals_one(value, actual) if isinstance(actual, list) else _text(operator.contains)(actual, value)


def _does_not_contain(actual: Any, value: Any) -> bool:
    both_text = isinstance(actual, str) and isinstance(value, str)
    return (both_text or isinstance(actual, list)) and not _contains(actual, value)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda actual, value: _equals_one(actual, [value]),
    "neq": lambda actual, value: _equals_none(actual, [value]),
    **{op: partial(_compared, op) for op in ("gt", "gte", "lt", "lte", "between", "not_between")},
    "in": _equals_one,
    "not_in": _equals_none,
    "contains": _contains,
    "does_not_contain": _does_not_contain,
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
    "matches_regex": _text(lambda actual, value: re2.search(value, actual) is not None),
    "is_set": lambda actual, _: actual is not None,
    "is_not_set": lambda actual, _: actual is None,
    "is_true": lambda actual, _: actual is True,
    "is_false": lambda actual, _: actual is False,
}

_CONDITIONS: dict[str, Callable[[Json, list[Event], int], bool]] = {
    "event_count": _event_count,
    "recency": _recency,
    "monetary": _monetary,
    "event_property": _newest_value,
    "user_property": _newest_value,
    "event_sequence": _event_sequence,
}
