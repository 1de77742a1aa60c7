"""Verdicts that look at every entry of a window: metrics of numbers, and counts too large to keep one by one.

As time passes the entries of a window leave it, oldest first. So its answers to come are those of its newest entries:
of all, of all but the oldest, and so on, down to none.
"""

from collections.abc import Callable
from itertools import accumulate

from shared.domain.comparison import against
from shared.domain.condition import EventCount, Monetary
from shared.domain.newest_times import counted
from shared.domain.pairs import Columns, columns_after
from shared.domain.user_state import NEVER, Slots

Line = tuple[list[int], list[bool]]
"""The answers of a window from an instant on: the times of the entries in it, newest first, and, for n from 0 on, the
answer when the newest n are left."""

LineOf = Callable[[Slots, int], Line]
"""(slots, as_of) -> the line from `as_of` on."""


def line_of(condition: EventCount | Monetary, window: int, key: str) -> LineOf:
    """The line of a condition with a window, `negate` included, over the slot `key`."""
    if isinstance(condition, EventCount):
        return _count_line(condition, window, key)
    answers_of, empty = _metric_answers(condition), [0]

    def line(slots: Slots, as_of: int) -> Line:
        columns = columns_after(slots.get(key, empty), as_of - window)
        return columns[0], answers_of(columns)

    return line


def first_turn(line: Line, window: int) -> tuple[bool, int]:
    """The answer now, and the first instant at which it differs. `window` in us."""
    times, answers = line
    now = answers[-1]
    other = not now
    if other not in answers:
        return now, NEVER
    oldest_first, gone = answers[::-1], 0
    for _ in range(oldest_first.count(other)):
        gone = oldest_first.index(other, gone + 1)
        left = len(times) - gone
        # entries of one instant leave together
        if left == 0 or times[left - 1] != times[left]:
            return now, times[left] + window
    return now, NEVER


def all_turns(line: Line, window: int) -> tuple[bool, list[int]]:
    """The answer now, and all instants at which it turns around, ascending. `window` in us."""
    times, answers = line
    start = now = answers[-1]
    turns = []
    for left in range(len(times) - 1, -1, -1):
        if answers[left] is not now and (left == 0 or times[left - 1] != times[left]):
            now = answers[left]
            turns.append(times[left] + window)
    return start, turns


def _count_line(condition: EventCount, window: int, key: str) -> LineOf:
    decide, empty = against(condition.operator, condition.value, negate=condition.negate), [0]

    def line(slots: Slots, as_of: int) -> Line:
        edge = as_of - window
        inside = [entry for entry in reversed(counted(slots.get(key, empty))) if entry[0] > edge]
        counts = accumulate((count for _, count in inside), initial=0)
        return [time for time, _ in inside], list(map(decide, counts))

    return line


def _metric_answers(condition: Monetary) -> Callable[[Columns], list[bool]]:
    """The answers for the newest n entries, n from 0 on."""
    value, negate = condition.value_micro, condition.negate
    decide = against(condition.operator, value, negate=negate)
    # sum op value x count, unrounded, is: the sum of what each is above the value, op 0
    decide_excess = against(condition.operator, 0, negate=negate)
    match condition.metric:
        case "sum":
            return lambda columns: list(map(decide, accumulate(columns[2], initial=0)))
        case "max":
            return lambda columns: [negate, *map(decide, accumulate(columns[3], max))]
        case "min":
            return lambda columns: [negate, *map(decide, accumulate(columns[4], min))]
        case "avg":
            return lambda columns: [
                negate,
                *map(
                    decide_excess,
                    accumulate(total - value * n for total, n in zip(columns[2], columns[1], strict=True)),
                ),
            ]
