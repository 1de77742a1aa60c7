"""Conditions as readable sentences. For people only: nothing is decided by them."""

import json
from collections.abc import Mapping
from fractions import Fraction

from shared.domain.comparison import TURNED_AROUND, CountOperator
from shared.domain.condition import (
    Condition,
    EventCount,
    EventProperty,
    EventSequence,
    Filters,
    Monetary,
    Recency,
    SegmentMembership,
    Step,
    UserProperty,
)
from shared.domain.numbers import number_of
from shared.domain.times import DAY_US, HOUR_US, SECOND_US
from shared.domain.value_test import Scalar, ValueTest, json_value

MAX_SHOWN = 10
"""Members of a list that a sentence names."""
MAX_TEXT = 80
"""Characters of a value that a sentence shows."""

_UNITS = ((DAY_US, "day"), (HOUR_US, "hour"), (60 * SECOND_US, "minute"), (SECOND_US, "second"))
_UNIT_NAMES = dict(_UNITS)
_MANY = {"gte": "at least", "gt": "more than", "lte": "at most", "lt": "fewer than", "eq": "exactly"}
_COMPARES = {
    "gte": "is at least",
    "gt": "is more than",
    "lte": "is at most",
    "lt": "is less than",
    "eq": "is",
    "neq": "is other than",
}
_TESTS = _COMPARES | {
    "in": "is one of",
    "not_in": "is other than",
    "between": "is between",
    "not_between": "is not between",
    "contains": "contains",
    "does_not_contain": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches_regex": "matches",
    "is_set": "is set",
    "is_not_set": "is not set",
    "is_true": "is true",
    "is_false": "is false",
}
_METRICS = {"sum": "Sum of", "avg": "Average of", "max": "Largest", "min": "Smallest"}


def label_of(condition: Condition, names: Mapping[int, str]) -> str:
    """The sentence of a condition, `negate` included. `names`: of segments, by id; one may be missing."""
    match condition:
        case EventCount():
            return _count(condition)
        case SegmentMembership():
            name = names.get(condition.segment_id)
            is_not = "not " if (condition.operator == "not_in") is not condition.negate else ""
            known = "" if name is None else f" ({_short(name)})"
            return f"Is {is_not}a member of segment {condition.segment_id}{known}"
        case Recency(operator="lt" | "lte") if condition.negate:
            return f"Did not do {_event(condition)} {_in_the_last(condition.window_us, condition.unit_us)}"
        case Recency():
            label = _recency(condition)
        case Monetary():
            label = _monetary(condition)
        case EventProperty():
            label = f"{condition.property} of the newest {condition.event_type} {words_of(condition.test)}"
        case UserProperty():
            label = f"User property {condition.property} {words_of(condition.test)}"
        case EventSequence():
            label = _sequence(condition)
    return f"Not: {label}" if condition.negate else label


def duration(length_us: int, unit_us: int | None = None) -> str:
    """A length of time, as `30 days`: in the unit, or in the largest of days, hours and minutes that it is whole in."""
    fitting = (unit for unit in _UNITS if (length_us % unit[0] == 0 if unit_us is None else unit[0] == unit_us))
    size, name = next(fitting, _UNITS[-1])
    amount = Fraction(length_us, size)
    if amount == 1:
        return f"1 {name}"
    return f"{amount.numerator if amount.denominator == 1 else float(amount)} {name}s"


def words_of(test: ValueTest) -> str:
    """What a test says of a value, as `is one of "pro", "team"`."""
    shown = [_value(operand) for operand in test.operands[:MAX_SHOWN]]
    more = len(test.operands) - len(shown)
    operands = (" and " if test.operator in ("between", "not_between") else ", ").join(shown)
    return f"{_TESTS[test.operator]}{' ' * bool(shown)}{operands}{f' and {more} more' if more else ''}"


def _count(condition: EventCount) -> str:
    # a count is always a number, so the opposite of a comparison is one too
    operator: CountOperator = TURNED_AROUND[condition.operator] if condition.negate else condition.operator
    event, value, within = _event(condition), condition.value, _within(condition.window_us)
    if (operator, value) in (("gte", 1), ("gt", 0), ("neq", 0)):
        return f"Did {event}{within}"
    if (operator, value) in (("lt", 1), ("lte", 0), ("eq", 0)):
        return f"Did not do {event}{within}"
    if operator == "neq":
        return f"Did {event} any number of times but {value}{within}"
    return f"Did {event} {_MANY[operator]} {_times(value)}{within}"


def _recency(condition: Recency) -> str:
    event, unit = _event(condition), condition.unit_us
    length, whole = duration(condition.window_us, unit), duration(condition.window_us // unit * unit, unit)
    ago = {
        "lt": f"less than {length} ago",
        "lte": f"at most {length} ago",
        "gt": f"more than {length} ago",
        "gte": f"at least {length} ago",
        "eq": f"{whole} ago, in whole {_UNIT_NAMES[unit]}s",
    }[condition.operator]
    return f"Last did {event} {ago}"


def _monetary(condition: Monetary) -> str:
    metric = f"{_METRICS[condition.metric]} {condition.property} of {_event(condition)}"
    return f"{metric}{_within(condition.window_us)} {_COMPARES[condition.operator]} {number_of(condition.value_micro)}"


def _sequence(condition: EventSequence) -> str:
    steps = ", then ".join(map(_event, condition.steps))
    strict = ", nothing in between" if condition.strict else ""
    return f"Did {steps} within {duration(condition.window_us)}{strict}"


def _event(condition: EventCount | Recency | Monetary | Step) -> str:
    return condition.event_type + _where(condition.filters)


def _where(filters: Filters) -> str:
    texts = [f"{each.property} {words_of(each.test)}" for each in filters]
    return f" (where {' and '.join(texts)})" if texts else ""


def _within(window_us: int | None) -> str:
    return "" if window_us is None else " " + _in_the_last(window_us)


def _in_the_last(window_us: int, unit_us: int | None = None) -> str:
    return f"in the last {duration(window_us, unit_us).removeprefix('1 ')}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _value(scalar: Scalar) -> str:
    return _short(json.dumps(json_value(scalar), ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
