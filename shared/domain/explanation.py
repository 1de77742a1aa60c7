"""Why a user is in a segment or not: what each condition looked at, what it says, and when time alone turns it.

The answers are those of the compiled verdicts that decide membership; nothing is decided here a second time.
"""

from typing import Any

import msgspec

from shared.domain.aggregate import Totals, aggregate_of
from shared.domain.bucket import LIMIT
from shared.domain.comparison import newest_needed
from shared.domain.compiled_segment import Activation, slot_key
from shared.domain.condition import Condition, EventCount, Gathering, Monetary, SegmentMembership, leaves
from shared.domain.condition_verdict import Verdict, condition_verdict
from shared.domain.numbers import number_of
from shared.domain.plan import Plan
from shared.domain.user_state import NEVER, Slots


class FoundCondition(msgspec.Struct, frozen=True):
    """What one condition found in a user's state.

    actual_value: the number, the value of the property, the newest time (microseconds), whether the sequence was found
    or the user is in the other segment; None when there is none. at_least: the true count may be higher: no more times
    are kept than decide. next_change_at: microseconds, or None when time alone never turns it.
    """

    actual_value: Any
    at_least: bool
    matches: bool
    next_change_at: int | None


def explain(activation: Activation, plan: Plan, slots: Slots, as_of: int) -> list[FoundCondition]:
    """The conditions of a version that the plan serves, of a known user, in the order in which they are written.

    `as_of`: microseconds, not earlier than any event folded.
    """
    return [_found(leaf, activation.since, plan, slots, as_of) for leaf in leaves(activation.definition)]


def nothing_found(activation: Activation) -> list[FoundCondition]:
    """The conditions for a user that is not known, who is in no segment: none matches."""
    return [FoundCondition(None, at_least=False, matches=False, next_change_at=None)] * len(
        leaves(activation.definition)
    )


def turn_of(recheck_at: int) -> int | None:
    """The instant of a verdict's turn, None for never."""
    return None if recheck_at == NEVER else recheck_at


def _found(condition: Condition, since: int, plan: Plan, slots: Slots, as_of: int) -> FoundCondition:
    if isinstance(condition, SegmentMembership):
        other = plan.segments.get(condition.segment_id)
        actual, recheck_at = (False, NEVER) if other is None else other.verdict(slots, as_of)
        matches = (actual is (condition.operator == "in")) is not condition.negate
        return FoundCondition(actual, at_least=False, matches=matches, next_change_at=turn_of(recheck_at))
    key = slot_key(aggregate_of(condition), since)
    verdict: Verdict = condition_verdict(condition, key)
    matches, recheck_at = verdict(slots, as_of)
    value, at_least = _actual(condition, key, plan, slots, as_of)
    return FoundCondition(value, at_least, matches, turn_of(recheck_at))


def _actual(condition: Gathering, key: str, plan: Plan, slots: Slots, as_of: int) -> tuple[Any, bool]:
    verbs = plan.slots[key].verbs
    partial = slots.get(key) or verbs.zero()
    if isinstance(condition, Monetary):
        return _metric(condition, verbs.value(partial, as_of, condition.window_us)), False
    if not isinstance(condition, EventCount) or condition.window_us is None:
        return verbs.value(partial, as_of, None), False
    count, needed = verbs.value(partial, as_of, condition.window_us), newest_needed(condition.operator, condition.value)
    # when an older one is kept outside of the window, or fewer than are needed, then all in the window are kept
    return count, needed <= LIMIT and needed <= count == verbs.value(partial, as_of, None)


def _metric(condition: Monetary, totals: Totals) -> float | None:
    if condition.metric == "sum":
        return number_of(totals.sum)
    if not totals.numbers:
        return None
    match condition.metric:
        case "avg":
            return number_of(totals.sum, totals.numbers)
        case "max":
            return number_of(totals.max)
        case "min":
            return number_of(totals.min)
