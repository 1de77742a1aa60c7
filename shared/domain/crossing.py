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
from shared.domain.thresholds import INFINITE, is_unsteady
from shared.domain.user_state import NEVER, Partial
from shared.domain.value_test import Scalar, scalar_of

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


class Thresholds(Generic[T]):
    """Thresholds of a number, each with what turns when the number passes from below it to it or above."""

    def __init__(self) -> None:
        self._dependents: dict[int, list[T]] = defaultdict(list)
        self._positions: list[int] = []
        self._ascending: list[list[T]] = []

    def put(self, position: int, dependent: T) -> None:
        """Add one, before any question."""
        self._dependents[position].append(dependent)

    def sort(self) -> None:
        """To be called after the last `put`."""
        self._positions = sorted(self._dependents)
        self._ascending = [self._dependents[position] for position in self._positions]

    def at(self, number: int) -> Iterable[T]:
        """What turns when the number comes to this one from the integer below."""
        return self._dependents.get(number, ())

    def between(self, one: int, other: int) -> Iterable[T]:
        """What turns when the number goes from one to the other."""
        first, last = bisect_right(self._positions, one), bisect_right(self._positions, other)
        return () if first == last else self._gathered(min(first, last), max(first, last))

    def up_to(self, number: int | None) -> Iterable[T]:
        """What has turned; of a number that is not known, everything."""
        return self._gathered(0, len(self._positions) if number is None else bisect_right(self._positions, number))

    def _gathered(self, first: int, last: int) -> Iterable[T]:
        return [dependent for dependents in self._ascending[first:last] for dependent in dependents]


Read = Callable[[Partial, int], int | None]
"""(partial, as_of) -> a number of it; None when answers that rest on it may turn earlier than they would have."""
Readings = list[tuple[Read, Thresholds[T]]]


def _readings(thresholds: dict[Any, Thresholds[T]], read: Callable[[Any], Read]) -> Readings[T]:
    for each in thresholds.values():
        each.sort()
    return [(read(key), each) for key, each in thresholds.items()]


def _reached(readings: Readings[T]) -> Callable[[Partial, int], Iterable[T]]:
    def reached(partial: Partial, as_of: int) -> Iterable[T]:
        return [dependent for read, thresholds in readings for dependent in thresholds.up_to(read(partial, as_of))]

    return reached


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
    thresholds = Thresholds[T]()
    for condition, dependent in watched:
        if isinstance(condition, EventCount):
            for step in _steps(condition.operator, condition.value):
                thresholds.put(step, dependent)
    readings = _readings({None: thresholds}, lambda _: lambda partial, _as_of: partial[0])

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        count = partial[0]
        return () if count == before else thresholds.at(count)

    return Watch(take, _reached(readings))


def _times(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_window: dict[int, Thresholds[T]] = defaultdict(Thresholds)
    for condition, dependent in watched:
        if isinstance(condition, EventCount) and condition.window_us is not None:
            for step in _steps(condition.operator, condition.value):
                by_window[condition.window_us].put(step, dependent)
    readings = _readings(by_window, lambda window: lambda partial, as_of: count_after(partial, as_of - window))
    windows, everyone = [(window, thresholds.at) for window, thresholds in by_window.items()], _everyone(watched)

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

    return Watch(take, _reached(readings))


def _newest(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    ages, youngest = Thresholds[T](), NEVER
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


_OF_TOTALS: dict[Metric, Read] = {
    "sum": lambda totals, _as_of: 2 * totals[1],
    "max": lambda totals, _as_of: 2 * totals[2] if totals[0] else -2 * INFINITE,
    "min": lambda totals, _as_of: 2 * totals[3] if totals[0] else 2 * INFINITE,
    "avg": lambda totals, _as_of: 2 * (totals[1] // totals[0]) + (totals[1] % totals[0] > 0) if totals[0] else 0,
}
"""The metrics twofold; what lies between two integers counts as the odd number there."""


def _totals(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_metric: dict[Metric, Thresholds[T]] = defaultdict(Thresholds)
    for condition, dependent in watched:
        if isinstance(condition, Monetary):
            for step in _twofold(condition):
                by_metric[condition.metric].put(step, dependent)
    readings, everyone = _readings(by_metric, _OF_TOTALS.__getitem__), _everyone(watched)
    compared = _compared(add, readings)

    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        if partial[0]:
            return compared(partial, event, as_of)
        add(partial, event)
        return everyone if partial[0] else ()

    return Watch(take, _reached(readings))


_OF_VALUES: dict[Metric, Callable[[list[int]], int | None]] = {
    "sum": lambda values: 2 * sum(values) if not values or min(values) >= 0 else None,
    "max": lambda values: 2 * max(values, default=-2 * INFINITE),
    "min": lambda values: 2 * min(values, default=2 * INFINITE),
}


def _pairs(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_window: dict[tuple[int, Metric], Thresholds[T]] = defaultdict(Thresholds)
    for condition, dependent in watched:
        if isinstance(condition, Monetary) and condition.window_us is not None and not is_unsteady(condition):
            for step in _twofold(condition):
                by_window[condition.window_us, condition.metric].put(step, dependent)

    def read(key: tuple[int, Metric]) -> Read:
        window, of_values = key[0], _OF_VALUES[key[1]]

        def read_window(partial: Partial, as_of: int) -> int | None:
            # in buckets numbers may move to a later instant
            return None if partial[0] else of_values(partial[first_after(partial, as_of - window) + 1 :: 2])

        return read_window

    readings = _readings(by_window, read)
    return Watch(_compared(add, readings), _reached(readings))


def _compared(add: Add, readings: Readings[T]) -> Callable[[Partial, Event, int], Iterable[T]]:
    def take(partial: Partial, event: Event, as_of: int) -> Iterable[T]:
        before = [read(partial, as_of) for read, _ in readings]
        add(partial, event)
        crossed: list[T] = []
        for then, (read, thresholds) in zip(before, readings, strict=True):
            now = read(partial, as_of)
            if then is None or now is None:
                crossed += thresholds.up_to(None)
            elif then != now:
                crossed += thresholds.between(then, now)
        return crossed

    return take


def _value(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    by_value: dict[Scalar | None, list[T]] = defaultdict(list)
    others: list[T] = []
    for condition, dependent in watched:
        if not isinstance(condition, EventProperty | UserProperty):
            continue
        if condition.test.operator in ("eq", "in"):
            for operand in condition.test.operands:
                by_value[operand].append(dependent)
        else:
            others.append(dependent)
    having = dict(by_value).get

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[2]
        add(partial, event)
        now = partial[2]
        if before is now or (type(before) is type(now) is str and before == now):
            return ()
        return [*others, *having(scalar_of(before), ()), *having(scalar_of(now), ())]

    return Watch(take, lambda partial, _as_of: having(scalar_of(partial[2]), ()))


def _sequence(add: Add, watched: Sequence[tuple[Gathering, T]]) -> Watch[T]:
    everyone = _everyone(watched)

    def take(partial: Partial, event: Event, _as_of: int) -> Iterable[T]:
        before = partial[0]
        add(partial, event)
        return () if partial[0] == before else everyone

    return Watch(take, _nothing)


_WATCHES: dict[str, Callable[[Add, Sequence[tuple[Gathering, Any]]], Watch[Any]]] = {
    "count": _count,
    "times": _times,
    "newest": _newest,
    "totals": _totals,
    "pairs": _pairs,
    "value": _value,
    "sequence": _sequence,
}
