"""Comparing a number with a threshold."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

CountOperator = Literal["eq", "neq", "gt", "gte", "lt", "lte"]
RecencyOperator = Literal["gt", "gte", "lt", "lte", "eq"]

COUNT_OPERATORS: tuple[str, ...] = get_args(CountOperator)
RECENCY_OPERATORS: tuple[str, ...] = get_args(RecencyOperator)

COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
"""`COMPARE[op](actual, threshold)`."""

TURNED_AROUND: dict[CountOperator, CountOperator] = {
    "eq": "neq",
    "neq": "eq",
    "gt": "lte",
    "lte": "gt",
    "gte": "lt",
    "lt": "gte",
}
"""The operator that is true when the other is not."""

_SIDES_SWAPPED = {"eq": "eq", "neq": "neq", "gt": "lt", "lt": "gt", "gte": "lte", "lte": "gte"}


def against(op: CountOperator, threshold: int, *, negate: bool) -> Callable[[int], bool]:
    """A function of the actual number alone: whether it compares so, or with `negate` whether it does not."""
    # a partial with the threshold on the left is one call in C
    return partial(COMPARE[_SIDES_SWAPPED[TURNED_AROUND[op] if negate else op]], threshold)


def newest_needed(op: CountOperator, value: int) -> int:
    """How many of the newest times decide `count op value`, for a window of any length."""
    return value if op in ("gte", "lt") else value + 1
