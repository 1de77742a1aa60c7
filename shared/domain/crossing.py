"""Which answers one more event may turn: those whose threshold the slot passes, found without asking the others.

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
from typing import Any, Generic, NamedTuple, TypeVar

from shared.domain.aggregate import Aggregate
from shared.domain.comparison import CountOperator
from shared.domain.condition import EventCount, EventProperty, Gathering, Metric, Monetary, Recency, UserProperty
from shared.domain.condition_verdict import ages_of
from shared.domain.event import Event
from shared.domain.newest_times import count_after
from shared.domain.pairs import first_after
from shared.domain.sorted_thresholds import SortedThresholds
from shared.domain.thresholds import INFINITE, is_unsteady
from shared.domain.user_state import NEVER, Partial
from shared.domain.value_test import Scalar, ValueTest, compile_test, scalar_of

T = TypeVar("T")

Add = Callable[[Partial, Event], None]


class Watch(NamedTuple, Generic[T]):
    """What a slot tells of the conditions over it.

    take: (partial, event, as_of) -> what to ask anew, some of it twice; the event is added to the partial in place.
    reached: (partial, as_of) -> what hangs on thresholds of numbers, or on values, that are reached; some of it twice.
    """

    take: Callable[[Partial, Event, int], Iterable[T]]
    reached: Callable[[Partial, int], Iterable[T]]


def watching(aggregate: Aggregate, add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    """The verb `add` of a slot, which tells besides whose answers may have turned.

    Args:
        aggregate: what the slot gathers.
        add: its verb.
        watched: conditions over the slot, put in thresholds, each with what depends on it.
    """
    if not watched:
        return Watch(_silent(add), _nothing)
    return _WATCHES[aggregate.kind](add, watched)


Read = Callable[[Partial, int], list[int | None]]
"""(partial, as_of) -> numbers of it; None where answers may turn earlier than they would have."""


def _reached(read: Read, thresholds: Sequence[SortedThresholds[T]]) -> Callable[[Partial, int], Iterable[T]]:
    def reached(partial: Partial, as_of: int) -> Iterable[T]:
        numbers = zip(thresholds, read(partial, as_of), strict=True)
        return [dependent for each, number in numbers for dependent in each.up_to(number)]

    return reached


def _compared(add: Add, read: Read, thresholds: Sequence[SortedThresholds[T]]) -> Watch[T]:
    """What is passed between the numbers before and after the event."""

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        before = read(partial, as_of)
        add(partial, event)
        crossed: list[T] = []
        for each, then, now in zip(thresholds, before, read(partial, as_of), strict=True):
            if then is None or now is None:
                crossed += each.up_to(None)
            elif then != now:
                crossed += each.between(then, now)
        return crossed

    return Watch(take, _reached(read, thresholds))


def _everyone(watched: Sequence[tuple[Gathering, T]]) -> Sequence[T]:
    return tuple(dict.fromkeys(dependent for _, dependent in watched))


def _nothing(_partial: Partial, _as_of: int) -> Iterable[T]:
    return ()


def _steps(operator: CountOperator, threshold: int) -> tuple[int, ...]:
    """The integers at which the answer of `number operator threshold` turns, coming from the integer below."""
    if operator in ("gte", "lt"):
        return (threshold,)
    if operator in ("gt", "lte"):
        return (threshold + 1,)
    return (threshold, threshold + 1)


def _silent(add: Add) -> Callable[[Partial, Event, int], Iterable[T]]:
    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        add(partial, event)
        return ()

    return take


def _count(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    thresholds = SortedThresholds[T]()
    for condition, dependent in watched:
        if isinstance(condition, EventCount):
            for step in _steps(condition.operator, condition.value):
                thresholds.put(step, dependent)
    thresholds.sort()

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        count = partial[0]
        return () if count == before else thresholds.at(count)

    return Watch(take, _reached(lambda partial, _as_of: [partial[0]], [thresholds]))


def _times(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_window: dict[int, SortedThresholds[T]] = defaultdict(SortedThresholds)
    for condition, dependent in watched:
        if isinstance(condition, EventCount) and condition.window_us is not None:
            for step in _steps(condition.operator, condition.value):
                by_window[condition.window_us].put(step, dependent)
    windows, everyone = [(window, each.sort().at) for window, each in by_window.items()], _everyone(watched)

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        add(partial, event)
        if partial[0]:
            return everyone  # in buckets more than one may come or go
        kept, time = len(partial), event.occurred_at
        crossed: Iterable[T] = ()
        for window, at in windows:
            edge = as_of - window
            if time > edge:
                # one that a filter keeps out asks once too often
                turned = at(kept - bisect_right(partial, edge, 1))
                if turned:
                    crossed = [*crossed, *turned]
        return crossed

    def read(partial: Partial, as_of: int) -> list[int | None]:
        return [count_after(partial, as_of - window) for window, _ in windows]

    return Watch(take, _reached(read, list(by_window.values())))


def _newest(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    ages, youngest = SortedThresholds[T](), NEVER
    for condition, dependent in watched:
        if isinstance(condition, Recency):
            for age in ages_of(condition):
                if 0 < age < NEVER:
                    ages.put(age, dependent)
                    youngest = min(youngest, age)
    ages.sort()
    everyone = _everyone(watched)

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        if before < 0:
            return everyone
        age = as_of - before
        return ages.between(age, as_of - partial[0]) if age >= youngest else ()

    return Watch(take, _nothing)


def _twofold(condition: Monetary) -> tuple[int, ...]:
    """The steps of a threshold for numbers taken twofold, so that there is room between one and the next."""
    return tuple(
        2 * step - (step > condition.value_micro) for step in _steps(condition.operator, condition.value_micro)
    )


_NONE = 2 * INFINITE
"""Beyond every threshold: where there is no number, there is no least and no greatest."""

_OF_TOTALS: dict[Metric, Callable[[Partial], int]] = {
    "sum": lambda totals: 2 * totals[1],
    "max": lambda totals: 2 * (totals[2] if totals[0] else -_NONE),
    "min": lambda totals: 2 * (totals[3] if totals[0] else _NONE),
    "avg": lambda totals: 2 * (totals[1] // totals[0]) + (totals[1] % totals[0] > 0) if totals[0] else 0,
}
"""The metrics twofold; what lies between two integers counts as the odd number there."""


def _totals(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_metric: dict[Metric, SortedThresholds[T]] = defaultdict(SortedThresholds)
    for condition, dependent in watched:
        if isinstance(condition, Monetary):
            for step in _twofold(condition):
                by_metric[condition.metric].put(step, dependent)
    metrics = [_OF_TOTALS[metric] for metric in by_metric]
    thresholds = [each.sort() for each in by_metric.values()]
    return _compared(add, lambda partial, _as_of: [of_totals(partial) for of_totals in metrics], thresholds)


_OF_VALUES: dict[Metric, Callable[[list[int]], int | None]] = {
    "sum": lambda values: 2 * sum(values) if not values or min(values) >= 0 else None,
    "max": lambda values: 2 * max(values, default=-_NONE),
    "min": lambda values: 2 * min(values, default=_NONE),
}


def _pairs(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_window: dict[int, dict[Metric, SortedThresholds[T]]] = defaultdict(lambda: defaultdict(SortedThresholds))
    for condition, dependent in watched:
        if isinstance(condition, Monetary) and condition.window_us is not None and not is_unsteady(condition):
            for step in _twofold(condition):
                by_window[condition.window_us][condition.metric].put(step, dependent)
    windows = [(window, [_OF_VALUES[metric] for metric in metrics]) for window, metrics in by_window.items()]
    thresholds = [each.sort() for metrics in by_window.values() for each in metrics.values()]

    def read(partial: Partial, as_of: int) -> list[int | None]:
        if partial[0]:
            return [None] * len(thresholds)  # in buckets numbers may move to a later instant
        numbers: list[int | None] = []
        for window, metrics in windows:
            values = partial[first_after(partial, as_of - window) + 1 :: 2]
            numbers += [of_values(values) for of_values in metrics]
        return numbers

    return _compared(add, read, thresholds)


def _value(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_value: dict[Scalar | None, list[T]] = defaultdict(list)
    by_test: dict[ValueTest, list[T]] = defaultdict(list)
    for condition, dependent in watched:
        if isinstance(condition, EventProperty | UserProperty):
            if condition.test.operator in ("eq", "in"):
                for operand in condition.test.operands:
                    by_value[operand].append(dependent)
            else:
                by_test[condition.test].append(dependent)
    having = dict(by_value).get
    tests = [(compile_test(test), dependents) for test, dependents in by_test.items()]

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[2]
        add(partial, event)
        now = partial[2]
        if before is now or (type(before) is type(now) is str and before == now):
            return ()
        crossed = [*having(scalar_of(before), ()), *having(scalar_of(now), ())]
        for holds, dependents in tests:
            if holds(before) is not holds(now):
                crossed += dependents
        return crossed

    def reached(partial: Partial, _as_of: int) -> Iterable[T]:
        value = partial[2]
        return [*having(scalar_of(value), ()), *(d for holds, some in tests if holds(value) for d in some)]

    return Watch(take, reached)


def _sequence(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    everyone = _everyone(watched)

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        return () if partial[0] == before else everyone

    return Watch(take, lambda partial, _as_of: everyone if partial[0] else ())


_WATCHES: dict[str, Callable[[Add, Sequence[tuple[Gathering, Any]]], Watch[Any]]] = {
    "count": _count,
    "times": _times,
    "newest": _newest,
    "totals": _totals,
    "pairs": _pairs,
    "value": _value,
    "sequence": _sequence,
}
