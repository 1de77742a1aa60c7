"""Reading `operator` and `value` of a test on a property."""

from typing import Any, cast

import re2

from shared.domain.reader import Reader, is_storable
from shared.domain.value_test import (
    OPERATORS,
    WITHOUT_VALUE,
    Operator,
    Scalar,
    ValueTest,
    compile_pattern,
    is_ascending,
    scalar_of,
)

MAX_LISTED = 1_000
MAX_PATTERN = 256

_SCALAR = "a string, a number below 1e15 or a boolean"
_RANGE = "a list [low, high] of two numbers or two strings, low not above high"


def read_test(reader: Reader) -> ValueTest | None:
    """The test of a condition or filter; None with its faults noted."""
    operator = reader.choice("operator", OPERATORS)
    if operator is None:
        reader.take("value", "", required=False)
        return None
    if operator in WITHOUT_VALUE:
        if "value" in reader.raw:
            reader.take("value", "", required=False)
            reader.fault("value", f"{operator} takes none")
        return None if reader.failed else ValueTest(cast(Operator, operator))
    operands = _operands(reader, operator)
    return None if reader.failed else ValueTest(cast(Operator, operator), operands)


def _operands(reader: Reader, operator: str) -> tuple[Scalar, ...]:
    match operator:
        case "in" | "not_in":
            return _listed(reader)
        case "between" | "not_between":
            return _range(reader)
        case "gt" | "gte" | "lt" | "lte":
            return _one(reader, "a number below 1e15 or a string", ("number", "string"))
        case "starts_with" | "ends_with":
            return _one(reader, "a string", ("string",))
        case "matches_regex":
            return _pattern(reader)
    return _one(reader, _SCALAR, ("string", "number", "boolean"))


def _one(reader: Reader, expected: str, types: tuple[str, ...]) -> tuple[Scalar, ...]:
    value = reader.take("value", expected)
    return () if value is None else _scalars(reader, "value", [value], expected, types)


def _listed(reader: Reader) -> tuple[Scalar, ...]:
    found: list[Scalar] = []
    for index, value in enumerate(reader.items("value", 1, MAX_LISTED, "strings, numbers or booleans")):
        found += _scalars(reader, f"value[{index}]", [value], _SCALAR, ("string", "number", "boolean"))
    return tuple(found)


def _range(reader: Reader) -> tuple[Scalar, ...]:
    value = reader.take("value", _RANGE)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) != len(("low", "high")):
        reader.fault("value", f"must be {_RANGE}")
        return ()
    ends = _scalars(reader, "value", value, _RANGE, ("number", "string"))
    if ends and (ends[0].type != ends[1].type or not is_ascending(*ends)):
        reader.fault("value", f"must be {_RANGE}")
    return ends


def _pattern(reader: Reader) -> tuple[Scalar, ...]:
    expected = f"an RE2 pattern of at most {MAX_PATTERN} characters"
    operands = _one(reader, expected, ("string",))
    if not operands:
        return ()
    pattern = str(operands[0].value)
    if len(pattern) > MAX_PATTERN:
        reader.fault("value", f"must be {expected}")
        return ()
    try:
        compile_pattern(pattern)
    except re2.error as error:
        reader.fault("value", f"is not a pattern of RE2: {_reason(error)}")
    return operands


def _reason(error: Exception) -> str:
    reason: Any = error.args[0] if error.args else "?"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _scalars(reader: Reader, key: str, values: list[Any], expected: str, types: tuple[str, ...]) -> tuple[Scalar, ...]:
    found = [scalar_of(value) for value in values]
    if not all(scalar is not None and scalar.type in types for scalar in found):
        reader.fault(key, f"must be {expected}")
        return ()
    if not all(is_storable(value) for value in values if isinstance(value, str)):
        reader.fault(key, "must not hold U+0000 or a lone surrogate")
        return ()
    return tuple(scalar for scalar in found if scalar is not None)
