"""Thresholds of one number, sorted, and what hangs on each."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class SortedThresholds(Generic[T]):
    """Thresholds of a number, each with what turns when the number passes from below it to it or above."""

    def __init__(self) -> None:
        self._dependents: dict[int, list[T]] = defaultdict(list)
        self._positions: list[int] = []
        self._ascending: list[list[T]] = []

    def put(self, position: int, dependent: T) -> None:
        """Add one, before any question."""
        self._dependents[position].append(dependent)

    def sort(self) -> "SortedThresholds[T]":
        """Itself, sorted; to be called after the last `put`."""
        self._positions = sorted(self._dependents)
        self._ascending = [self._dependents[position] for position in self._positions]
        return self

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
