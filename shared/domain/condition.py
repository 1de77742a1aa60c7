"""A definition as a tree of values: groups, and the conditions at its leaves."""

from typing import Literal, get_args

import msgspec

from shared.domain.comparison import CountOperator, RecencyOperator

Metric = Literal["sum", "avg", "max", "min"]
METRICS: tuple[str, ...] = get_args(Metric)

Logic = Literal["AND", "OR"]
LOGICS: tuple[str, ...] = get_args(Logic)


class EventCount(msgspec.Struct, frozen=True, tag="event_count"):
    """How many events of a type (in the window, if one is given) compare with `value`."""

    event_type: str
    operator: CountOperator
    value: int
    window_us: int | None = None
    negate: bool = False


class Recency(msgspec.Struct, frozen=True, tag="recency"):
    """How long ago the newest event of a type lies, compared with the window.

    `eq` compares whole units of `unit_us`, the unit the window was given in. Never fired: false.
    """

    event_type: str
    operator: RecencyOperator
    window_us: int
    unit_us: int
    negate: bool = False


class Monetary(msgspec.Struct, frozen=True, tag="monetary"):
    """A metric over the numbers of a property, compared with `value_micro` (1e-6 units).

    No number: `sum` is 0, the other metrics have none and the condition is false.
    """

    event_type: str
    property: str
    metric: Metric
    operator: CountOperator
    value_micro: int
    window_us: int | None = None
    negate: bool = False


Condition = EventCount | Recency | Monetary


class Group(msgspec.Struct, frozen=True, tag="group"):
    """Conditions and groups joined by `logic`; `negate` turns the answer around, last."""

    logic: Logic
    conditions: "tuple[Condition | Group, ...]"
    negate: bool = False


Item = Condition | Group
Definition = Group


def leaves(item: Item) -> list[Condition]:
    """All conditions of an item, in the order in which they are written."""
    if isinstance(item, Group):
        return [leaf for child in item.conditions for leaf in leaves(child)]
    return [item]
