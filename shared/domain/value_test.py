"""Tests on the value of a property: the operators of event_property, user_property and filters.

A missing or mistyped value fails every test but `is_not_set`, which is true of a missing one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import re2

from shared.domain.comparison import COMPARE
from shared.domain.numbers import number_of, to_micro_units
from shared.domain.property_path import MISSING
from shared.domain.times import parse_time

Operator = Literal[
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "not_between",
    "in",
    "not_in",
    "contains",
    "does_not_contain",
    "starts_with",
    "ends_with",
    "matches_regex",
    "is_set",
    "is_not_set",
    "is_true",
    "is_false",
]
OPERATORS: tuple[str, ...] = get_args(Operator)
WITHOUT_VALUE = frozenset({"is_set", "is_not_set", "is_true", "is_false"})
"""Operators that take no `value`."""

ScalarType = Literal["string", "number", "boolean"]


class Scalar(NamedTuple):
    """A value of a JSON type: a string, a number in 1e-6 units, or a boolean. The type keeps 1 and true apart."""

    type: ScalarType
    value: str | int | bool


class ValueTest(msgspec.Struct, frozen=True):
    """An operator with its operands: none, one, the two ends of a range, or the members of a list."""

    operator: Operator
    operands: tuple[Scalar, ...] = ()


Predicate = Callable[[Any], bool]
"""From the value of a property as it stands in the payload, or MISSING, to whether the test holds."""


def scalar_of(value: Any) -> Scalar | None:
    """The scalar that a JSON value is; None for missing, null, arrays, objects and numbers of 1e15 or more."""
    kind = type(value)
    if kind is str:
        return Scalar("string", value)
    if kind is bool:
        return Scalar("boolean", value)
    if kind is int or kind is float:
        micro = to_micro_units(value)
        return None if micro is None else Scalar("number", micro)
    return None


def json_value(scalar: Scalar) -> str | float | bool:
    """The scalar as a JSON value; of a number that no double spells, one near it."""
    return number_of(int(scalar.value)) if scalar.type == "number" else scalar.value


def is_ascending(low: Scalar, high: Scalar) -> bool:
    """Whether a range of one type is not empty: as instants if both are times, otherwise by number or code point."""
    low_time, high_time = _time_of(low), _time_of(high)
    if low_time is not None and high_time is not None:
        return low_time <= high_time
    return low.value <= high.value  # type: ignore[operator] # of one type


def compile_pattern(pattern: str) -> Any:
    """A compiled RE2 pattern. Raises re2.error when it is none."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def compile_test(test: ValueTest) -> Predicate:
    """The predicate of a test."""
    return _COMPILERS[test.operator](*test.operands)


def _is_set(*, present: bool) -> Predicate:
    return lambda value: (value is not None and value is not MISSING) is present


def _is(*, answer: bool) -> Predicate:
    return lambda value: value is answer


def _starts_with(operand: Scalar) -> Predicate:
    start = str(operand.value)
    return lambda value: type(value) is str and value.startswith(start)


def _ends_with(operand: Scalar) -> Predicate:
    end = str(operand.value)
    return lambda value: type(value) is str and value.endswith(end)


def _matches(operand: Scalar) -> Predicate:
    search = compile_pattern(str(operand.value)).search
    return lambda value: type(value) is str and search(value) is not None


def _one_of(*operands: Scalar) -> Predicate:
    accepted = frozenset(operands)
    return lambda value: scalar_of(value) in accepted


def _none_of(*operands: Scalar) -> Predicate:
    refused, types = frozenset(operands), {operand.type for operand in operands}

    def predicate(value: Any) -> bool:
        scalar = scalar_of(value)
        return scalar is not None and scalar.type in types and scalar not in refused

    return predicate


def _compares(operand: Scalar, *, operator: str) -> Predicate:
    compare, kind, threshold, instant = COMPARE[operator], operand.type, operand.value, _time_of(operand)

    def predicate(value: Any) -> bool:
        scalar = scalar_of(value)
        if scalar is None or scalar.type != kind:
            return False
        if instant is not None:
            actual = _time_of(scalar)
            if actual is not None:
                return compare(actual, instant)
        return compare(scalar.value, threshold)  # type: ignore[arg-type] # of one type

    return predicate


def _between(low: Scalar, high: Scalar, *, inside: bool) -> Predicate:
    from_low, to_high, kind = low.value, high.value, low.type
    from_time, to_time = _time_of(low), _time_of(high)

    def predicate(value: Any) -> bool:
        scalar = scalar_of(value)
        if scalar is None or scalar.type != kind:
            return False
        if from_time is not None and to_time is not None:
            actual = _time_of(scalar)
            if actual is not None:
                return (from_time <= actual <= to_time) is inside
        return (from_low <= scalar.value <= to_high) is inside  # type: ignore[operator] # of one type

    return predicate


def _contains(operand: Scalar, *, present: bool) -> Predicate:
    text = str(operand.value) if operand.type == "string" else None

    def predicate(value: Any) -> bool:
        if type(value) is list:
            return any(scalar_of(element) == operand for element in value) is present
        return text is not None and type(value) is str and (text in value) is present

    return predicate


def _time_of(scalar: Scalar) -> int | None:
    return parse_time(str(scalar.value)) if scalar.type == "string" else None


_COMPILERS: dict[Operator, Callable[..., Predicate]] = {
    "eq": _one_of,
    "neq": _none_of,
    "gt": partial(_compares, operator="gt"),
    "gte": partial(_compares, operator="gte"),
    "lt": partial(_compares, operator="lt"),
    "lte": partial(_compares, operator="lte"),
    "between": partial(_between, inside=True),
    "not_between": partial(_between, inside=False),
    "in": _one_of,
    "not_in": _none_of,
    "contains": partial(_contains, present=True),
    "does_not_contain": partial(_contains, present=False),
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches_regex": _matches,
    "is_set": partial(_is_set, present=True),
    "is_not_set": partial(_is_set, present=False),
    "is_true": partial(_is, answer=True),
    "is_false": partial(_is, answer=False),
}
