"""Tests on values: every operator, on every type of value."""

from typing import Any

import pytest

from shared.domain.property_path import MISSING
from shared.domain.value_test import OPERATORS, ValueTest, compile_test, scalar_of

_EVERYTHING = [MISSING, None, "", "a", "1", 0, 1, 1.5, True, False, [], [1], ["a"], {}, {"a": 1}, 1e15]


def holds(operator: Any, value: Any, *operands: Any) -> bool:
    scalars = [scalar for operand in operands if (scalar := scalar_of(operand)) is not None]
    assert len(scalars) == len(operands)
    return compile_test(ValueTest(operator, tuple(scalars)))(value)


def accepted(operator: Any, *operands: Any) -> list[Any]:
    return [value for value in _EVERYTHING if holds(operator, value, *operands)]


def test_the_language_has_19_operators() -> None:
    assert len(OPERATORS) == len(set(OPERATORS)) == 19


@pytest.mark.parametrize(
    ("operator", "operands", "values"),
    [
        ("eq", ["a"], ["a"]),
        ("eq", [1], [1]),
        ("eq", [True], [True]),
        ("neq", ["a"], ["", "1"]),
        ("neq", [1], [0, 1.5]),
        ("neq", [True], [False]),
        ("gt", [0], [1, 1.5]),
        ("gte", [1], [1, 1.5]),
        ("lt", [1], [0]),
        ("lte", ["1"], ["", "1"]),
        ("between", [0, 1], [0, 1]),
        ("not_between", [0, 1], [1.5]),
        ("between", ["1", "b"], ["a", "1"]),
        ("in", ["a", 1, False], ["a", 1, False]),
        ("not_in", ["a", 1], ["", "1", 0, 1.5]),
        ("contains", ["a"], ["a", ["a"]]),
        ("contains", [""], ["", "a", "1"]),
        ("contains", [1], [[1]]),
        ("does_not_contain", ["a"], ["", "1", [], [1]]),
        ("does_not_contain", [1], [[], ["a"]]),
        ("starts_with", ["a"], ["a"]),
        ("ends_with", ["1"], ["1"]),
        ("matches_regex", ["^[a-z]$"], ["a"]),
        ("is_set", [], [value for value in _EVERYTHING if value is not MISSING and value is not None]),
        ("is_not_set", [], [MISSING, None]),
        ("is_true", [], [True]),
        ("is_false", [], [False]),
    ],
)
def test_missing_or_mistyped_is_false(operator: str, operands: list[Any], values: list[Any]) -> None:
    assert list(map(repr, accepted(operator, *operands))) == list(map(repr, values))


def test_numbers_are_one_type_and_are_rounded_as_in_sums() -> None:
    assert holds("eq", 1.0, 1)
    assert holds("eq", 0.30000000000000004, 0.3)
    assert not holds("eq", 10**15, 1)
    assert not holds("neq", 10**15, 1)


def test_strings_are_compared_as_instants_if_all_are_times() -> None:
    assert holds("gt", "2026-01-01T01:00:00+02:00", "2025-12-31")
    assert holds("lt", "2026-01-01T00:30:00+02:00", "2025-12-31T23:00:00Z")
    assert not holds("eq", "2026-01-01", "2026-01-01T00:00:00Z")  # text is compared exactly
    assert holds("gt", "2026-13-01", "2026-01-01T00:00")  # no time: by code point
    assert holds("between", "2026-01-01T01:00:00+02:00", "2025-12-31T23:00", "2025-12-31T23:00:00.0")
    assert not holds("between", "2026-01-01", "2026-01-01T00:00", "2026-x")  # by code point: a prefix is less


def test_text_is_compared_with_case_and_by_code_point() -> None:
    assert not holds("eq", "A", "a")
    assert holds("gt", "\U0001f600", "\uffff")  # UTF-16 units would say otherwise


def test_a_pattern_takes_linear_time() -> None:
    assert not holds("matches_regex", "a" * 5_000 + "!", "^(a+)+$")
