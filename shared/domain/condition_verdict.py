"""Verdicts of single conditions, compiled: what a partial says at an instant, and when time alone turns it around."""

from collections.abc import Callable

from shared.domain.bucket import ALWAYS_EXACT
from shared.domain.comparison import COMPARE, newest_needed
from shared.domain.condition import Condition, EventCount, Monetary, Recency
from shared.domain.metric_verdict import all_time_metric, windowed_count, windowed_metric
from shared.domain.user_state import NEVER, Slots

Verdict = Callable[[Slots, int], tuple[bool, int]]
"""(slots, as_of) -> (member, recheck_at); `as_of` is not earlier than any event folded.

recheck_at is the earliest instant after `as_of` at which the answer turns around if no event comes, or NEVER.
"""


def condition_verdict(condition: Condition, key: str) -> Verdict:
    """The verdict of a condition over the slot `key`, `negate` included."""
    if isinstance(condition, Recency):
        return _recency(condition, key)
    if isinstance(condition, Monetary):
        if condition.window_us is None:
            return all_time_metric(condition, key)
        return windowed_metric(condition, condition.window_us, key)
    return _total(condition, key) if condition.window_us is None else _count(condition, condition.window_us, key)


def _total(condition: EventCount, key: str) -> Verdict:
    compare, value, negate = COMPARE[condition.operator], condition.value, condition.negate
    zero = [0]

    def verdict(slots: Slots, _as_of: int) -> tuple[bool, int]:
        return compare(slots.get(key, zero)[0], value) is not negate, NEVER

    return verdict


def _count(condition: EventCount, window: int, key: str) -> Verdict:
    negate = condition.negate
    needed = newest_needed(condition.operator, condition.value)
    if needed > ALWAYS_EXACT:
        return windowed_count(condition, window, key)
    if condition.operator in ("eq", "neq"):
        return _exactly(key, condition.value, window, inside=(condition.operator == "eq") is not negate)
    # the others say "at least so many", or that it is not so
    return _at_least(key, needed, window, inside=(condition.operator in ("gte", "gt")) is not negate)


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


def _recency(condition: Recency, key: str) -> Verdict:
    """With age = as_of - newest: true in one stretch of ages, [begin, end)."""
    window, unit, negate = condition.window_us, condition.unit_us, condition.negate
    units = window // unit
    begin, end = {
        "lt": (0, window),
        "lte": (0, window + 1),
        "gt": (window + 1, NEVER),
        "gte": (window, NEVER),
        "eq": (units * unit, (units + 1) * unit),
    }[condition.operator]
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
