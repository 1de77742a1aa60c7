"""Verdicts that look at every entry of a window: metrics of numbers, and counts too large to keep one by one."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from shared.domain.aggregate import NOTHING, Totals
from shared.domain.comparison import COMPARE
from shared.domain.condition import EventCount, Monetary
from shared.domain.newest_times import counted
from shared.domain.pairs import weighed
from shared.domain.user_state import NEVER, Slots

Answer = tuple[bool, int]
Decide = Callable[[Totals], bool]


def decider(condition: Monetary) -> Decide:
    """The answer of a metric's condition to totals, `negate` included."""
    compare, value, negate = COMPARE[condition.operator], condition.value_micro, condition.negate
    match condition.metric:
        case "sum":
            return lambda totals: compare(totals.sum, value) is not negate
        case "avg":
            # unrounded: sum op value x count
            return lambda totals: (totals.numbers > 0 and compare(totals.sum, value * totals.numbers)) is not negate
        case "max":
            return lambda totals: (totals.numbers > 0 and compare(totals.max, value)) is not negate
        case "min":
            return lambda totals: (totals.numbers > 0 and compare(totals.min, value)) is not negate


def all_time_metric(condition: Monetary, key: str) -> Callable[[Slots, int], Answer]:
    """The verdict of a metric without a window."""
    decide = decider(condition)
    zero = list(NOTHING)

    def verdict(slots: Slots, _as_of: int) -> Answer:
        return decide(Totals(*slots.get(key, zero))), NEVER

    return verdict


def windowed_metric(condition: Monetary, window: int, key: str) -> Callable[[Slots, int], Answer]:
    """The verdict of a metric over the numbers in a window."""
    decide = decider(condition)
    empty = [0]

    def verdict(slots: Slots, as_of: int) -> Answer:
        edge = as_of - window
        inside = [entry for entry in weighed(slots.get(key, empty)) if entry[0] > edge]
        newest_first = accumulate((Totals(*entry[1:]) for entry in reversed(inside)), _join_totals, initial=NOTHING)
        return _first_turn([entry[0] for entry in inside], [decide(totals) for totals in newest_first], window)

    return verdict


def windowed_count(condition: EventCount, window: int, key: str) -> Callable[[Slots, int], Answer]:
    """The verdict of a count in a window that may reach into buckets."""
    compare, value, negate = COMPARE[condition.operator], condition.value, condition.negate
    empty = [0]

    def verdict(slots: Slots, as_of: int) -> Answer:
        edge = as_of - window
        inside = [entry for entry in counted(slots.get(key, empty)) if entry[0] > edge]
        newest_first = accumulate((count for _, count in reversed(inside)), initial=0)
        answers = [compare(count, value) is not negate for count in newest_first]
        return _first_turn([entry[0] for entry in inside], answers, window)

    return verdict


def _first_turn(times: Sequence[int], answers: Sequence[bool], window: int) -> Answer:
    """The answer now and the first instant at which it differs.

    Args:
        times: of the entries in the window, ascending.
        answers: `answers[n]` is the answer when the newest n entries are left.
        window: us; an entry leaves at its time + window.
    """
    left = len(times)
    now = answers[left]
    for time in times:
        left -= 1
        # entries of one instant leave together
        if answers[left] is not now and (left == 0 or times[-left] != time):
            return now, time + window
    return now, NEVER


def _join_totals(one: Totals, other: Totals) -> Totals:
    if not one.numbers:
        return other
    return Totals(one.numbers + other.numbers, one.sum + other.sum, max(one.max, other.max), min(one.min, other.min))
