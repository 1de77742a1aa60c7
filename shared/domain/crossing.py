"""Which answers one more event may turn: those whose threshold the slot crosses, found without asking the others.

For every slot the thresholds of all conditions over it lie sorted beside each other, so the cost of an event follows
the slots it touches and the answers that turn, not the number of segments.

What is not named holds on: its answer is the same before and after the event, and time alone turns it no earlier than
it would have without. For one more event makes counts, and sums of numbers that are not negative, larger at every
instant to come, and the newest time later. Conditions are put as such thresholds first (`thresholds.py`); one that has
none is unsteady, and whoever asks it must ask again at every event.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from shared.domain.aggregate import Aggregate
from shared.domain.comparison import CountOperator
from shared.domain.condition import EventCount, EventProperty, Gathering, Metric, Monetary, Recency, UserProperty
from shared.domain.condition_verdict import ages_of
from shared.domain.event import Event
from shared.domain.pairs import first_after
from shared.domain.thresholds import INFINITE, is_unsteady
from shared.domain.user_state import NEVER, Partial
from shared.domain.value_test import Scalar, scalar_of

T = TypeVar("T")

Add = Callable[[Partial, Event], None]
Take = Callable[[Partial, Event, int], Iterable[T]]
"""(partial, event, as_of) -> what to ask anew, some of it twice; the event is added to the partial in place."""


def watching(aggregate: Aggregate, add: Add, watched: Sequence[tuple[Gathering, T]]) -> Take[T]:
    """The verb `add` of a slot, which tells besides whose answers may have turned.

    Args:
        aggregate: what the slot gathers.
        add: its verb.
        watched: conditions over the slot, put in thresholds, each with what depends on it.
    """
    if not watched:
        return _silent(add)
    conditions = _Conditions(watched)
    takers: dict[str, Callable[[Add, _Conditions[T]], Take[T]]] = {
        "count": _count,
        "times": _times,
        "newest": _newest,
        "totals": _totals,
        "pairs": _pairs,
        "value": _value,
        "sequence": _sequence,
    }
    return takers[aggregate.kind](add, conditions)


class _Conditions(Generic[T]):
    """All conditions over one slot."""

    def __init__(self, watched: Sequence[tuple[Gathering, T]]) -> None:
        self.watched = watched
        self.everyone: Sequence[T] = tuple(dict.fromkeys(dependent for _, dependent in watched))


class _Thresholds(Generic[T]):
    """Thresholds of a number, each with what turns when the number passes from below it to it or above."""

    def __init__(self, dependents: dict[int, list[T]]) -> None:
        self._positions = sorted(dependents)
        self._dependents = [dependents[position] for position in self._positions]

    def between(self, one: int, other: int) -> Iterable[T]:
        """What turns when the number goes from one to the other."""
        positions = self._positions
        first, last = bisect_right(positions, one), bisect_right(positions, other)
        if first == last:
            return ()
        if last < first:
            first, last = last, first
        return [dependent for dependents in self._dependents[first:last] for dependent in dependents]


def _steps(operator: CountOperator, threshold: int) -> tuple[int, ...]:
    """The integers at which the answer of `number operator threshold` turns, coming from the integer below."""
    if operator in ("gte", "lt"):
        return (threshold,)
    if operator in ("gt", "lte"):
        return (threshold + 1,)
    return (threshold, threshold + 1)


def _silent(add: Add) -> Take[T]:
    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        add(partial, event)
        return ()

    return take


def _count(add: Add, conditions: _Conditions[T]) -> Take[T]:
    turning: dict[int, list[T]] = defaultdict(list)
    for condition, dependent in conditions.watched:
        if isinstance(condition, EventCount):
            for step in _steps(condition.operator, condition.value):
                turning[step].append(dependent)
    turning = dict(turning)

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        count = partial[0]
        return () if count == before else turning.get(count, ())

    return take


def _times(add: Add, conditions: _Conditions[T]) -> Take[T]:
    by_window: dict[int, dict[int, list[T]]] = defaultdict(lambda: defaultdict(list))
    for condition, dependent in conditions.watched:
        if not isinstance(condition, EventCount) or condition.window_us is None:
            continue
        for step in _steps(condition.operator, condition.value):
            by_window[condition.window_us][step].append(dependent)
    windows = [(window, dict(turning)) for window, turning in by_window.items()]
    everyone = conditions.everyone

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        add(partial, event)
        if partial[0]:
            return everyone  # in buckets more than one may come or go
        kept, time = len(partial), event.occurred_at
        crossed: Iterable[T] = ()
        for window, turning in windows:
            edge = as_of - window
            if time > edge:
                turned = turning.get(kept - bisect_right(partial, edge, 1))
                if turned is not None:
                    crossed = [*crossed, *turned]
        return crossed

    return take


def _newest(add: Add, conditions: _Conditions[T]) -> Take[T]:
    turning: dict[int, list[T]] = defaultdict(list)
    for condition, dependent in conditions.watched:
        if isinstance(condition, Recency):
            for age in ages_of(condition):
                if 0 < age < NEVER:
                    turning[age].append(dependent)
    ages, everyone, youngest = _Thresholds(turning), conditions.everyone, min(turning)

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        if before < 0:
            return everyone
        age = as_of - before
        return ages.between(age, as_of - partial[0]) if age >= youngest else ()

    return take


def _twofold(condition: Monetary) -> tuple[int, ...]:
    """The steps of a threshold for numbers taken twofold, so that there is room between one and the next."""
    return tuple(
        2 * step - (step > condition.value_micro) for step in _steps(condition.operator, condition.value_micro)
    )


_OF_TOTALS: dict[Metric, Callable[[Partial], int]] = {
    "sum": lambda totals: 2 * totals[1],
    "max": lambda totals: 2 * totals[2],
    "min": lambda totals: 2 * totals[3],
    "avg": lambda totals: 2 * (totals[1] // totals[0]) + (totals[1] % totals[0] > 0),
}
"""The metrics twofold; what lies between two integers counts as the odd number there."""


def _totals(add: Add, conditions: _Conditions[T]) -> Take[T]:
    turning: dict[Metric, dict[int, list[T]]] = defaultdict(lambda: defaultdict(list))
    for condition, dependent in conditions.watched:
        if isinstance(condition, Monetary):
            for step in _twofold(condition):
                turning[condition.metric][step].append(dependent)
    metrics = [(_OF_TOTALS[metric], _Thresholds(steps)) for metric, steps in turning.items()]
    everyone = conditions.everyone

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        count = partial[0]
        if not count:
            add(partial, event)
            return everyone if partial[0] else ()
        before = [read(partial) for read, _ in metrics]
        add(partial, event)
        crossed: list[T] = []
        if partial[0] != count:
            for number, (read, thresholds) in zip(before, metrics, strict=True):
                crossed += thresholds.between(number, read(partial))
        return crossed

    return take


_OF_VALUES: dict[Metric, Callable[[list[int]], int | None]] = {
    "sum": lambda values: 2 * sum(values) if not values or min(values) >= 0 else None,
    "max": lambda values: 2 * max(values, default=-2 * INFINITE),
    "min": lambda values: 2 * min(values, default=2 * INFINITE),
}
"""The metrics twofold; None when the answer may turn earlier than it would have."""


def _pairs(add: Add, conditions: _Conditions[T]) -> Take[T]:
    turning: dict[tuple[int, Metric], dict[int, list[T]]] = defaultdict(lambda: defaultdict(list))
    for condition, dependent in conditions.watched:
        if isinstance(condition, Monetary) and condition.window_us is not None and not is_unsteady(condition):
            for step in _twofold(condition):
                turning[condition.window_us, condition.metric][step].append(dependent)
    metrics = [
        (
            window,
            _OF_VALUES[metric],
            _Thresholds(steps),
            list(dict.fromkeys(d for step in steps.values() for d in step)),
        )
        for (window, metric), steps in turning.items()
    ]
    everyone = conditions.everyone

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        before = [read(_values_after(partial, as_of - window)) for window, read, _, _ in metrics]
        add(partial, event)
        if partial[0]:
            return everyone  # in buckets numbers may move to a later instant
        crossed: list[T] = []
        for number, (window, read, thresholds, all_of_them) in zip(before, metrics, strict=True):
            now = read(_values_after(partial, as_of - window))
            crossed += all_of_them if now is None or number is None else thresholds.between(number, now)
        return crossed

    return take


def _values_after(partial: Partial, edge: int) -> list[int]:
    return partial[first_after(partial, edge) + 1 :: 2]


def _value(add: Add, conditions: _Conditions[T]) -> Take[T]:
    by_value: dict[Scalar | None, list[T]] = defaultdict(list)
    others: list[T] = []
    for condition, dependent in conditions.watched:
        if not isinstance(condition, EventProperty | UserProperty):
            continue
        if condition.test.operator in ("eq", "in"):
            for operand in condition.test.operands:
                by_value[operand].append(dependent)
        else:
            others.append(dependent)
    by_value = dict(by_value)

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[2]
        add(partial, event)
        now = partial[2]
        if before is now or (type(before) is type(now) is str and before == now):
            return ()
        return [*others, *by_value.get(scalar_of(before), ()), *by_value.get(scalar_of(now), ())]

    return take


def _sequence(add: Add, conditions: _Conditions[T]) -> Take[T]:
    everyone = conditions.everyone

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        return () if partial[0] == before else everyone

    return take
