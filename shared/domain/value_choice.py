"""Whether any value of a property can meet some tests at once. Where it says no, none can; a yes may be too much."""

from collections import defaultdict
from collections.abc import Iterable
from functools import reduce
from typing import Any, NamedTuple

from shared.domain.spans import ALL, NOTHING, Spans, compared_with, complement, intersection
from shared.domain.value_test import Scalar, ValueTest, compile_test, json_value, scalar_of

_MOST_OPERANDS, _MOST_TRIED = 200, 2_000
"""Operands of all tests; listed values times tests. Beyond, nothing is tried, and the answer is yes."""

_TYPES = frozenset({"string", "number", "boolean", "array", "object"})
_OF_TEXT = frozenset({"string"})


class Wanted(NamedTuple):
    """A test on a property, and whether it shall hold."""

    test: ValueTest
    holds: bool


def normal(test: ValueTest) -> Wanted:
    """The same test, one spelling for all that say the same."""
    operands = test.operands
    match test.operator:
        case "is_not_set":
            return Wanted(ValueTest("is_set"), holds=False)
        case "is_true" | "is_false":
            return Wanted(ValueTest("in", (Scalar("boolean", test.operator == "is_true"),)), holds=True)
        case "eq" | "in":
            return Wanted(ValueTest("in", _each_once(operands)), holds=True)
        case "neq" | "not_in":
            return Wanted(ValueTest("not_in", _each_once(operands)), holds=True)
        case "gt" | "lt" if operands[0].type == "number":
            above = test.operator == "gt"
            operand = Scalar("number", int(operands[0].value) + (1 if above else -1))
            return Wanted(ValueTest("gte" if above else "lte", (operand,)), holds=True)
    return Wanted(test, holds=True)


def some_value_passes(wanted: Iterable[Wanted]) -> bool:
    """Whether there may be a value, or a missing one, that meets all. The tests are normal ones."""
    tests = tuple(wanted)
    if sum(len(test.operands) for test, _ in tests) > _MOST_OPERANDS:
        return True
    listed = [test.operands for test, holds in tests if holds and test.operator == "in"]
    if listed:
        return _one_of_these_passes([_value_of(scalar) for scalar in min(listed, key=len)], tests)
    if any(test.operator == "is_set" and not holds for test, holds in tests):
        return _one_of_these_passes([None], tests)
    types = reduce(frozenset.intersection, (_types(test) for test, holds in tests if holds), _TYPES)
    if types != {"number"}:
        return bool(types)
    numbers = (_numbers(test) if holds else complement(_numbers(test)) for test, holds in tests)
    return reduce(intersection, numbers, ALL) != NOTHING


def some_payload_passes(wanted: Iterable[tuple[str, Wanted]]) -> bool:
    """The same of several properties by name, each for itself."""
    by_property: dict[str, list[Wanted]] = defaultdict(list)
    for name, test in wanted:
        by_property[name].append(test)
    return all(map(some_value_passes, by_property.values()))


def _one_of_these_passes(values: list[Any], tests: tuple[Wanted, ...]) -> bool:
    if len(values) * len(tests) > _MOST_TRIED:
        return True
    predicates = [(compile_test(test), holds) for test, holds in tests]
    return any(value is _UNSPELT or all(passes(value) is holds for passes, holds in predicates) for value in values)


_UNSPELT = object()
"""A number that no double spells: nothing is said of it."""


def _value_of(scalar: Scalar) -> Any:
    """A JSON value that is this scalar."""
    value = json_value(scalar)
    return value if scalar_of(value) == scalar else _UNSPELT


def _types(test: ValueTest) -> frozenset[str]:
    """The JSON types of the values that may pass."""
    match test.operator:
        case "is_set":
            return _TYPES
        case "starts_with" | "ends_with" | "matches_regex":
            return _OF_TEXT
        case "contains" | "does_not_contain":
            return frozenset({"array"}) | (_OF_TEXT if test.operands[0].type == "string" else frozenset())
    return frozenset(operand.type for operand in test.operands)


def _numbers(test: ValueTest) -> Spans:
    """The numbers, in micro-units, that pass."""
    values = [int(operand.value) for operand in test.operands if operand.type == "number"]
    passing = NOTHING
    match test.operator:
        case "is_set":
            passing = ALL
        case "in" | "not_in":
            passing = tuple((value, value + 1) for value in values)  # ascending: the test is a normal one
        case "between" | "not_between" if values:
            passing = intersection(compared_with("gte", values[0]), compared_with("lte", values[1]))
        case "gte" | "lte" if values:
            passing = compared_with(test.operator, values[0])
    return complement(passing) if values and test.operator in ("not_in", "not_between") else passing


def _each_once(operands: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return tuple(sorted(set(operands), key=lambda operand: (operand.type, operand.value)))
