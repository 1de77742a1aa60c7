"""What a formula says of a user with some events, the plain way: what formulas and warnings are held against."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Any

from shared.domain.aggregate import aggregate_of
from shared.domain.condition import EventSequence, Filter, Step
from shared.domain.event import Event
from shared.domain.formula import Formula, Happened, Join, NormalFilters, Number, Passes, Within
from shared.domain.numbers import MICRO
from shared.domain.sequence import sequence_verbs
from shared.domain.value_test import ValueTest, compile_test
from tests.support import oracle_values


def says(formula: Formula, events: Sequence[Event], as_of: int) -> bool:
    """Whether it is true of a user in no other segment."""
    if isinstance(formula, Join):
        parts = [says(part, events, as_of) for part in formula.parts]
        return all(parts) if formula.logic == "AND" else any(parts)
    known = sorted((e for e in events if e.occurred_at <= as_of), key=lambda event: (event.occurred_at, event.offset))
    if isinstance(formula, Within):
        number = _number(formula.number, known, as_of)
        return formula.or_none if number is None else any(low <= number < high for low, high in formula.spans)
    if isinstance(formula, Passes):
        newest = [event for event in known if event.event_type == formula.event_type][-1:]
        value = oracle_values.property_of(newest[0].payload, formula.property) if newest else None
        return compile_test(formula.test)(value) is formula.holds
    if isinstance(formula, Happened):
        return _happened(formula, known) is formula.holds
    return not formula.holds


def _number(number: Number, known: list[Event], as_of: int) -> int | None:
    """A count; another number in 1e-6, an average in halves of it."""
    edge = as_of - number.window_us
    seen = [event for event in known if event.event_type == number.event_type and event.occurred_at > edge]
    seen = [event for event in seen if _pass(number.filters, event.payload)]
    if number.kind == "count":
        return len(seen)
    read = (oracle_values.exact(oracle_values.property_of(event.payload, number.property)) for event in seen)
    values = [value * MICRO for value in read if value is not None]
    if number.kind == "sum":
        return int(sum(values))
    if not values:
        return None
    if number.kind == "avg":
        average = Fraction(sum(values)) / len(values)
        return 2 * floor(average) + (average.denominator > 1)
    return int(max(values) if number.kind == "max" else min(values))


def _pass(filters: NormalFilters, payload: dict[str, Any]) -> bool:
    return all(compile_test(test)(oracle_values.property_of(payload, name)) is holds for name, (test, holds) in filters)


def _happened(formula: Happened, known: list[Event]) -> bool:
    steps = tuple(Step(event_type, tuple(_filter(*each) for each in filters)) for event_type, filters in formula.steps)
    sequence = aggregate_of(EventSequence(steps, formula.window_us, formula.strict)).sequence
    assert sequence is not None
    verbs = sequence_verbs(sequence)
    partial = verbs.zero()
    for event in known:
        verbs.add(partial, event)
    return bool(partial[0])


def _filter(name: str, wanted: tuple[ValueTest, bool]) -> Filter:
    test, holds = wanted
    return Filter(name, test if holds else ValueTest("is_not_set"))  # the only one that is turned around
