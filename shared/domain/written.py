"""What a definition says, for people: each condition with its place, a readable sentence and what it compares with."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.domain.condition import (
    Condition,
    Definition,
    EventCount,
    EventProperty,
    EventSequence,
    Monetary,
    Recency,
    SegmentMembership,
    UserProperty,
    placed_leaves,
)
from shared.domain.label import duration, label_of
from shared.domain.numbers import number_of
from shared.domain.value_test import ValueTest, json_value


class WrittenCondition(msgspec.Struct, frozen=True):
    """One condition as it is written.

    path: its place in the definition's JSON, as the messages about faults say it. threshold: what the actual value is
    compared with, before `negate`: a number, a value or a list of values, a length of time, or true or false for
    sequences and memberships; None where there is nothing (`is_set` and its like).
    """

    path: str
    type: str
    label: str
    threshold: Any


def written(definition: Definition, names: Mapping[int, str]) -> list[WrittenCondition]:
    """The conditions in the order in which they are written. `names`: of segments, by id; one may be missing."""
    return [
        WrittenCondition(path, str(type(leaf).__struct_config__.tag), label_of(leaf, names), _threshold(leaf))
        for path, leaf in placed_leaves(definition)
    ]


def _threshold(condition: Condition) -> Any:
    threshold: Any
    match condition:
        case EventCount():
            threshold = condition.value
        case Monetary():
            threshold = number_of(condition.value_micro)
        case Recency():
            threshold = duration(condition.window_us, condition.unit_us)
        case EventSequence():
            threshold = True
        case SegmentMembership():
            threshold = condition.operator == "in"
        case EventProperty() | UserProperty():
            threshold = _operands(condition.test)
    return threshold


def _operands(test: ValueTest) -> Any:
    operands = [json_value(operand) for operand in test.operands]
    if test.operator in ("in", "not_in", "between", "not_between"):
        return operands
    return operands[0] if operands else None
