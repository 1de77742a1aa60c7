"""Conditions on numbers, put as thresholds that one more event can only help to pass.

`exactly three` is `at least three` and not `more than three`: another event can make each of these true, or keep it
true for longer, at every instant to come. An average has no such thresholds. But it lies between the least and the
greatest of its numbers, which decide it for all users but few.
"""

from typing import TypeVar

from msgspec.structs import replace

from shared.domain.comparison import CountOperator
from shared.domain.condition import EventCount, Gathering, Group, Item, Monetary

INFINITE = 1 << 80
"""In 1e-6 units: more than any number of a payload."""
_OPPOSITE: dict[CountOperator, CountOperator] = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt"}

Counted = TypeVar("Counted", bound=EventCount | Monetary)


def in_thresholds(condition: Gathering) -> Item:
    """The same question, put so; a part of it that `is_unsteady` has no thresholds."""
    if not isinstance(condition, EventCount | Monetary):
        return condition
    if isinstance(condition, Monetary) and condition.metric != "sum":
        item, negate = _of_numbers(condition), condition.negate
    elif condition.operator in ("eq", "neq"):
        item = _both(_asked(condition, "gte"), _not(_asked(condition, "gt")))
        negate = condition.negate is not (condition.operator == "neq")
    else:
        return condition
    return _not(item) if negate else item


def is_unsteady(condition: Gathering) -> bool:
    """Whether any event may turn the answer, or make it turn earlier than it would have."""
    return isinstance(condition, Monetary) and condition.metric == "avg" and condition.window_us is not None


def _of_numbers(condition: Monetary) -> Item:
    """Of maximum, minimum and average: where there is no number, every comparison is false."""
    any_number = replace(_asked(condition, "gte"), metric="max", value_micro=-INFINITE)
    if condition.operator not in ("eq", "neq"):
        return _compared(condition, condition.operator, any_number)
    equal = _both(_compared(condition, "gte", any_number), _compared(condition, "lte", any_number))
    return equal if condition.operator == "eq" else _both(any_number, _not(equal))


def _compared(condition: Monetary, operator: CountOperator, any_number: Item) -> Item:
    rising = operator in ("gte", "gt")
    if condition.metric == ("max" if rising else "min"):
        return _asked(condition, operator)
    if condition.metric != "avg" or not rising:
        return _both(any_number, _not(_compared(condition, _OPPOSITE[operator], any_number)))
    greatest = replace(_asked(condition, operator), metric="max")
    least = replace(_asked(condition, _OPPOSITE[operator]), metric="min")
    all_of_them = _both(any_number, _not(least))
    return _both(greatest, Group("OR", (all_of_them, _asked(condition, operator))))


def _asked(condition: Counted, operator: CountOperator) -> Counted:
    return replace(condition, operator=operator, negate=False)


def _both(one: Item, other: Item) -> Group:
    return Group("AND", (one, other))


def _not(item: Item) -> Item:
    return replace(item, negate=not item.negate)
