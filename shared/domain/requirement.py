"""What a segment requires: a condition without which its answer is no, far from where most users are.

While a user has not come to it, no other threshold that an event passes can turn the answer.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from shared.domain.condition import (
    Condition,
    Definition,
    EventCount,
    EventProperty,
    EventSequence,
    Gathering,
    Group,
    Item,
    Monetary,
    SegmentMembership,
    UserProperty,
)
from shared.domain.thresholds import in_thresholds

_UNKNOWN = 0.5
"""The rarity of values and sequences, of which nothing can be told."""


def requirements(definitions: Mapping[int, Definition]) -> dict[int, Gathering]:
    """By segment id the condition, put in thresholds, that it requires; segments without one are left out.

    Of several it is the one whose threshold lies highest among those over the same number: the rarest, as far as can be
    told without the users.
    """
    required = {segment_id: list(_required(definition)) for segment_id, definition in definitions.items()}
    heights: dict[Gathering, list[int]] = defaultdict(list)
    for conditions in required.values():
        for condition in conditions:
            number, height = _threshold(condition)
            heights[number].append(height)
    for ascending in heights.values():
        ascending.sort()

    def rarity(condition: Gathering) -> float:
        number, height = _threshold(condition)
        if isinstance(condition, EventProperty | UserProperty | EventSequence):
            return _UNKNOWN
        return bisect_left(heights[number], height) / len(heights[number])

    return {segment_id: max(conditions, key=rarity) for segment_id, conditions in required.items() if conditions}


def _required(definition: Definition) -> Iterator[Gathering]:
    for condition in _conjuncts(definition):
        if not isinstance(condition, SegmentMembership):
            thresholds = _conjuncts(in_thresholds(condition))
            yield from (t for t in thresholds if not isinstance(t, SegmentMembership) and _is_false_of_nothing(t))


def _conjuncts(item: Item) -> Iterator[Condition]:
    """The conditions without each of which the answer is no."""
    if not isinstance(item, Group):
        yield item
    elif not item.negate and (item.logic == "AND" or len(item.conditions) == 1):
        for child in item.conditions:
            yield from _conjuncts(child)


def _is_false_of_nothing(condition: Gathering) -> bool:
    """Whether it is false of a user without events, and stays so for ever if none of its own come."""
    match condition:
        case EventCount(operator="gte" | "gt" | "eq", negate=False):
            return condition.value > 0 or condition.operator == "gt"
        case Monetary(metric="sum", operator="gte" | "gt", negate=False):
            return condition.value_micro > 0 or (condition.operator == "gt" and condition.value_micro == 0)
        case Monetary(metric="max", operator="gte" | "gt", negate=False):
            return True
        case EventProperty(negate=False) | UserProperty(negate=False):
            return condition.test.operator != "is_not_set"
        case EventSequence(negate=False):
            return True
    return False


def _threshold(condition: Gathering) -> tuple[Gathering, int]:
    """The number that is compared, as a condition with nothing to compare it with, and the threshold."""
    match condition:
        case EventCount():
            return replace(condition, operator="gte", value=0), condition.value
        case Monetary():
            return replace(condition, operator="gte", value_micro=0), condition.value_micro
    return condition, 0
