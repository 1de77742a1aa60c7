"""The values of properties, the slow and plain way: numbers, times, and the operators that test them."""

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import re2

Json = dict[str, Any]

_SIX = (operator.eq, operator.ne, operator.gt, operator.ge, operator.lt, operator.le)
COMPARISONS: dict[str, Callable[..., bool]] = dict(zip(("eq", "neq", "gt", "gte", "lt", "lte"), _SIX, strict=True))
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_CONTEXT = Context(prec=400, rounding=ROUND_HALF_EVEN)


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


def _contains(actual: Any, value: Any, *, turned: bool = False) -> bool:
    if isinstance(actual, list):
        return _equals_one(value, actual) is not turned
    return _text(lambda text, part: (part in text) is not turned)(actual, value)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda actual, value: _equals_one(actual, [value]),
    "neq": lambda actual, value: _equals_none(actual, [value]),
    **{op: partial(_compared, op) for op in ("gt", "gte", "lt", "lte", "between", "not_between")},
    "in": _equals_one,
    "not_in": _equals_none,
    "contains": _contains,
    "does_not_contain": partial(_contains, turned=True),
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
    "matches_regex": _text(lambda actual, value: re2.search(value, actual) is not None),
    "is_set": lambda actual, _: actual is not None,
    "is_not_set": lambda actual, _: actual is None,
    "is_true": lambda actual, _: actual is True,
    "is_false": lambda actual, _: actual is False,
}
