"""What a definition says, in one spelling: conditions without `negate`, joined by AND and OR.

Whatever may be said in two ways is said in one: `gt 2` is `gte 3`, a recency is two counts ("within W" is "at least one
in W"), a negated group is the other logic over negated parts. Two definitions with one formula mean the same; two that
mean the same may have two formulas.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, assert_never

import msgspec

from shared.domain.condition import (
    PROPERTIES_EVENT,
    EventCount,
    EventProperty,
    EventSequence,
    Filters,
    Gathering,
    Group,
    Item,
    Logic,
    Monetary,
    Recency,
    SegmentMembership,
    UserProperty,
)
from shared.domain.condition_verdict import ages_of
from shared.domain.spans import ALL, INFINITY, NATURAL, NOTHING, Spans, compared_with, complement, intersection
from shared.domain.user_state import NEVER
from shared.domain.value_choice import Wanted, normal, some_payload_passes
from shared.domain.value_test import ValueTest

FORM = 1
"""Of the spelling; another one makes other identities."""

NormalFilters = tuple[tuple[str, Wanted], ...]
"""Properties with their tests, normal, each once, in a fixed order."""


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A number kept of a user's events. `window_us` is INFINITY without a window; a count has no property."""

    kind: Literal["count", "sum", "avg", "max", "min"]
    event_type: str
    filters: NormalFilters
    window_us: float
    property: str = ""


class Within(msgspec.Struct, frozen=True, tag="within"):
    """The number lies in the spans; `or_none`: or there is none. An average is counted in halves of 1e-6, so that odd
    ones stand for what lies between; other numbers in integers, or in 1e-6.
    """

    number: Number
    spans: Spans
    or_none: bool = False


class Passes(msgspec.Struct, frozen=True, tag="passes"):
    """Whether the property of the newest event of a type passes the test, or with `holds` false that it does not."""

    event_type: str
    property: str
    test: ValueTest
    holds: bool


class Happened(msgspec.Struct, frozen=True, tag="happened"):
    """Whether events came in this order, or with `holds` false that they did not. A step: event type and filters."""

    steps: tuple[tuple[str, NormalFilters], ...]
    window_us: int
    strict: bool
    holds: bool


class Belongs(msgspec.Struct, frozen=True, tag="belongs"):
    """Whether the user is a member of another segment, or with `holds` false that they are not."""

    segment_id: int
    holds: bool


class Join(msgspec.Struct, frozen=True, tag="join"):
    """All of the parts (AND) or one of them at least (OR)."""

    logic: Logic
    parts: "tuple[Formula, ...]"


Atom = Within | Passes | Happened | Belongs
Formula = Atom | Join


class Both(NamedTuple):
    """What an item says, and the opposite."""

    formula: Formula
    opposite: Formula


ALWAYS: Formula = Join("AND", ())
NEVER_TRUE: Formula = Join("OR", ())


def both_of(item: Item, parts: Sequence[Both] | None = None) -> Both:
    """The formula of an item, `negate` included, and of its opposite; `parts`: those of a group's items, if known."""
    if isinstance(item, Group):
        parts = [both_of(child) for child in item.conditions] if parts is None else parts
        other: Logic = "OR" if item.logic == "AND" else "AND"
        both = Both(join(item.logic, (part.formula for part in parts)), join(other, (part.opposite for part in parts)))
    elif isinstance(item, SegmentMembership):
        is_in = item.operator == "in"
        both = Both(Belongs(item.segment_id, is_in), Belongs(item.segment_id, not is_in))
    else:
        both = Both(_of_condition(item, holds=True), _of_condition(item, holds=False))
    return Both(both.opposite, both.formula) if item.negate else both


def meaning(item: Item) -> str:
    """The identity of what a definition says: equal only for definitions that mean the same. 32 hex digits."""
    written = f"{FORM} {_written(both_of(item).formula)}"
    return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()


def join(logic: Logic, parts: Iterable[Formula]) -> Formula:
    """The parts joined, those of the same logic taken in, each once."""
    decisive = NEVER_TRUE if logic == "AND" else ALWAYS
    flat: dict[Formula, None] = {}
    for part in parts:
        if part == decisive:
            return decisive
        flat.update(dict.fromkeys(part.parts if isinstance(part, Join) and part.logic == logic else (part,)))
    return next(iter(flat)) if len(flat) == 1 else Join(logic, tuple(flat))


def within(number: Number, spans: Spans, *, holds: bool = True) -> Formula:
    """That a number lies in the spans, or with `holds` false that it does not."""
    always_there = number.kind in ("count", "sum")
    possible = _possible(number)
    spans = intersection(spans if holds else complement(spans), possible)
    or_none = not (holds or always_there)
    if not spans and not or_none:
        return NEVER_TRUE
    if spans == possible and (always_there or or_none):
        return ALWAYS
    return Within(number, spans, or_none)


def _of_condition(condition: Gathering, *, holds: bool) -> Formula:
    match condition:
        case EventCount():
            return _count(condition, holds=holds)
        case Monetary():
            return _monetary(condition, holds=holds)
        case Recency():
            return _recency(condition, holds=holds)
        case EventSequence():
            return _happened(condition, holds=holds)
        case EventProperty() | UserProperty():
            return _passes(condition, holds=holds)
    assert_never(condition)


def _possible(number: Number) -> Spans:
    if not some_payload_passes(number.filters):
        # nothing is ever looked at
        return ((0, 1),) if number.kind in ("count", "sum") else NOTHING
    return NATURAL if number.kind == "count" else ALL


def _count(item: EventCount, *, holds: bool) -> Formula:
    number = Number("count", item.event_type, _normal(item.filters), item.window_us or INFINITY)
    return within(number, compared_with(item.operator, item.value), holds=holds)


def _monetary(item: Monetary, *, holds: bool) -> Formula:
    window = item.window_us or INFINITY
    number = Number(item.metric, item.event_type, _normal(item.filters), window, item.property)
    scale = 2 if item.metric == "avg" else 1
    return within(number, compared_with(item.operator, scale * item.value_micro), holds=holds)


def _recency(item: Recency, *, holds: bool) -> Formula:
    begin, end = ages_of(item)
    filters = _normal(item.filters)

    def counted(window: float, spans: Spans) -> Formula:
        return within(Number("count", item.event_type, filters, window), spans, holds=holds)

    parts = [counted(INFINITY if end == NEVER else end, compared_with("gte", 1))]
    if begin:
        parts.append(counted(begin, compared_with("eq", 0)))
    return join("AND" if holds else "OR", parts)


def _passes(item: EventProperty | UserProperty, *, holds: bool) -> Formula:
    event_type = PROPERTIES_EVENT if isinstance(item, UserProperty) else item.event_type
    wanted = normal(item.test)
    return Passes(event_type, item.property, wanted.test, holds is wanted.holds)


def _happened(item: EventSequence, *, holds: bool) -> Formula:
    steps = tuple((step.event_type, _normal(step.filters)) for step in item.steps)
    if not all(some_payload_passes(filters) for _, filters in steps):
        return NEVER_TRUE if holds else ALWAYS
    return Happened(steps, item.window_us, item.strict, holds)


def _normal(filters: Filters) -> NormalFilters:
    each_once = {(each.property, normal(each.test)) for each in filters}
    return tuple(each_once if len(each_once) == 1 else sorted(each_once, key=_as_json))


def _written(formula: Formula) -> str:
    """The one way to write it: parts in a fixed order, whatever the order in which they were said."""
    if isinstance(formula, Join):
        return f"{formula.logic}({','.join(sorted(map(_written, formula.parts)))})"
    return _as_json(formula)


def _as_json(part: object) -> str:
    # json, not msgspec: it writes integers of any size
    return json.dumps(msgspec.to_builtins(part), sort_keys=True, separators=(",", ":"))
