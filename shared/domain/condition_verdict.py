"""Verdicts of single conditions, compiled: what a partial says at an instant, and when time alone turns it around."""

from collections.abc import Callable

from shared.domain.aggregate import NOTHING
from shared.domain.bucket import ALWAYS_EXACT
from shared.domain.comparison import COMPARE, newest_needed
from shared.domain.condition import (
    EventCount,
    EventProperty,
    EventSequence,
    Gathering,
    Monetary,
    Recency,
    UserProperty,
)
from shared.domain.user_state import NEVER, Slots
from shared.domain.value_test import ValueTest, compile_test
from shared.domain.windowed_verdict import LineOf, all_turns, first_turn, line_of

Verdict = Callable[[Slots, int], tuple[bool, int]]
"""(slots, as_of) -> (member, recheck_at); `as_of` is not earlier than any event folded.

recheck_at is the earliest instant after `as_of` at which the answer turns around if no event comes, or NEVER.
"""

Turns = Callable[[Slots, int], tuple[bool, list[int]]]
"""(slots, as_of) -> the answer and all instants after `as_of` at which it turns around if no event comes, ascending."""


def condition_verdict(condition: Gathering, key: str) -> Verdict:
    """The verdict of a condition over the slot `key`, `negate` included."""
    line = _line(condition, key)
    if line is not None:
        return _first_of(*line)
    match condition:
        case Recency():
            verdict = _recency(condition, key)
        case EventProperty() | UserProperty():
            verdict = _newest_value(key, condition.test, negate=condition.negate)
        case EventSequence():
            verdict = _sequence(key, negate=condition.negate)
        case Monetary():
            verdict = _all_time_metric(condition, key)
        case EventCount(window_us=None):
            verdict = _all_time_count(condition, key)
        case EventCount(window_us=int(window)):
            verdict = _count_within(condition, window, key)
    return verdict


def _count_within(condition: EventCount, window: int, key: str) -> Verdict:
    needed = newest_needed(condition.operator, condition.value)
    if condition.operator in ("eq", "neq"):
        inside = (condition.operator == "eq") is not condition.negate
        return _exactly(key, condition.value, window, inside=inside)
    # the others say "at least so many", or that it is not so
    inside = (condition.operator in ("gte", "gt")) is not condition.negate
    return _at_least(key, needed, window, inside=inside)


def condition_turns(condition: Gathering, key: str) -> Turns:
    """The answer of a condition over the slot `key` and all its turns, `negate` included."""
    line = _line(condition, key)
    if line is not None:
        return _all_of(*line)
    verdict = condition_verdict(condition, key)

    def turns(slots: Slots, as_of: int) -> tuple[bool, list[int]]:
        start, recheck_at = verdict(slots, as_of)
        instants = []
        while recheck_at != NEVER:
            instants.append(recheck_at)
            recheck_at = verdict(slots, recheck_at)[1]
        return start, instants

    return turns


def _line(condition: Gathering, key: str) -> tuple[LineOf, int] | None:
    """Line and window of a condition that has to look at every entry of its window."""
    if not isinstance(condition, EventCount | Monetary) or condition.window_us is None:
        return None
    if isinstance(condition, EventCount) and newest_needed(condition.operator, condition.value) <= ALWAYS_EXACT:
        return None
    return line_of(condition, condition.window_us, key), condition.window_us


def _first_of(line: LineOf, window: int) -> Verdict:
    return lambda slots, as_of: first_turn(line(slots, as_of), window)


def _all_of(line: LineOf, window: int) -> Turns:
    return lambda slots, as_of: all_turns(line(slots, as_of), window)


def _all_time_metric(condition: Monetary, key: str) -> Verdict:
    compare, value, negate = COMPARE[condition.operator], condition.value_micro, condition.negate
    metric, zero = condition.metric, list(NOTHING)
    column = {"sum": 1, "avg": 1, "max": 2, "min": 3}[metric]

    def verdict(slots: Slots, _as_of: int) -> tuple[bool, int]:
        totals = slots.get(key, zero)
        if metric == "avg":
            # unrounded: sum op value x count
            return (totals[0] > 0 and compare(totals[1], value * totals[0])) is not negate, NEVER
        if metric == "sum" or totals[0]:
            return compare(totals[column], value) is not negate, NEVER
        return negate, NEVER

    return verdict


def _newest_value(key: str, test: ValueTest, *, negate: bool) -> Verdict:
    holds = compile_test(test)
    of_nothing = (holds(None) is not negate, NEVER)

    def verdict(slots: Slots, _as_of: int) -> tuple[bool, int]:
        newest = slots.get(key)
        return of_nothing if newest is None else (holds(newest[2]) is not negate, NEVER)

    return verdict


def _sequence(key: str, *, negate: bool) -> Verdict:
    def verdict(slots: Slots, _as_of: int) -> tuple[bool, int]:
        partial = slots.get(key)
        return (partial is not None and partial[0] == 1) is not negate, NEVER

    return verdict


def _all_time_count(condition: EventCount, key: str) -> Verdict:
    compare, value, negate = COMPARE[condition.operator], condition.value, condition.negate
    zero = [0]

    def verdict(slots: Slots, _as_of: int) -> tuple[bool, int]:
        return compare(slots.get(key, zero)[0], value) is not negate, NEVER

    return verdict


def _at_least(key: str, needed: int, window: int, *, inside: bool) -> Verdict:
    """The answer is `inside` while at least `needed` events lie in the window."""
    outside = (not inside, NEVER)
    if needed == 0:
        return lambda _slots, _as_of: (inside, NEVER)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        times = slots.get(key)
        if times is None or len(times) <= needed:
            return outside
        leaves = times[-needed] + window
        return (inside, leaves) if leaves > as_of else outside

    return verdict


def _exactly(key: str, needed: int, window: int, *, inside: bool) -> Verdict:
    """The answer is `inside` while exactly `needed` events lie in the window."""
    outside = (not inside, NEVER)
    empty = [0]

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        times = slots.get(key, empty)
        kept = len(times) - 1
        ends = NEVER
        if needed:
            if kept < needed:
                return outside
            ends = times[-needed] + window
            if ends <= as_of:
                return outside
        begins = times[-needed - 1] + window if kept > needed else 0
        if begins <= as_of:
            return inside, ends
        # one too many until the oldest of them leaves; if the next leaves with it, the number is never met
        return (not inside, begins) if begins < ends else outside

    return verdict


def ages_of(condition: Recency) -> tuple[int, int]:
    """The ages (as_of - newest, us) at which the comparison is true: begin <= age < end; no end is NEVER."""
    window, unit = condition.window_us, condition.unit_us
    units = window // unit
    return {
        "lt": (0, window),
        "lte": (0, window + 1),
        "gt": (window + 1, NEVER),
        "gte": (window, NEVER),
        "eq": (units * unit, (units + 1) * unit),
    }[condition.operator]


def _recency(condition: Recency, key: str) -> Verdict:
    negate = condition.negate
    begin, end = ages_of(condition)
    inside, outside = not negate, (negate, NEVER)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        newest = slots.get(key)
        if newest is None or newest[0] < 0:
            return outside
        age = as_of - newest[0]
        if age < begin:
            return negate, newest[0] + begin
        if age < end:
            return inside, NEVER if end == NEVER else newest[0] + end
        return outside

    return verdict
