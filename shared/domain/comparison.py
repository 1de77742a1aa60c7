"""Comparing a number with a threshold."""

import operator
from collections.abc import Callable
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


def newest_needed(op: CountOperator, value: int) -> int:
    """How many of the newest times decide `count op value`, for a window of any length."""
    return value if op in ("gte", "lt") else value + 1
