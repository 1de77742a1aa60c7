"""The aggregate `times`: the newest times of an event type, for counts in a window.

Partial: [h, bucket, ..., time, ...]: h integers of buckets (instant, count), then single times, ascending.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable

from shared.domain.aggregate import Verbs
from shared.domain.bucket import FOLDED_AT_ONCE, LIMIT, gather
from shared.domain.event import Event
from shared.domain.user_state import Partial

Counted = tuple[int, int]
"""An instant, and how many events stand there."""


def times_verbs(capacity: int, windows: tuple[int, ...]) -> Verbs:
    """The verbs for the `capacity` newest times.

    Args:
        capacity: how many times decide every condition that shares them.
        windows: the window lengths of those conditions in us, ascending.
    """

    def add(partial: Partial, event: Event) -> None:
        occurred_at = event.occurred_at
        if occurred_at >= partial[-1]:
            partial.append(occurred_at)
        else:
            insort(partial, occurred_at, 1 + partial[0])
        if len(partial) > capacity + 1:
            if partial[0]:
                _leave_buckets(partial, capacity)
            else:
                del partial[1 : len(partial) - capacity]

    def add_bounded(partial: Partial, event: Event) -> None:
        start = 1 + partial[0]
        if len(partial) == start or event.occurred_at >= partial[-1]:
            partial.append(event.occurred_at)
        else:
            insort(partial, event.occurred_at, start)
        if len(partial) - start > LIMIT:
            partial[:] = _bounded(counted(partial), windows, event.received_at)

    return Verbs(
        zero=lambda: [0],
        add=add if capacity <= LIMIT else add_bounded,
        merge=lambda one, other: _merged(one, other, capacity, windows),
        value=lambda partial, as_of, window: count_after(partial, as_of - (window or as_of + 1)),
    )


def counted(partial: Partial) -> list[Counted]:
    """All entries of a partial, buckets first."""
    start = 1 + partial[0]
    buckets = list(zip(partial[1:start:2], partial[2:start:2], strict=True))
    return buckets + [(time, 1) for time in partial[start:]]


def count_after(partial: Partial, edge: int) -> int:
    """How many of the events kept lie after `edge`."""
    start = 1 + partial[0]
    singles = len(partial) - bisect_right(partial, edge, start)
    return singles + sum(count for time, count in counted(partial[:start]) if time > edge)


def _merged(one: Partial, other: Partial, capacity: int, windows: tuple[int, ...]) -> Partial:
    if one[0] or other[0] or capacity > LIMIT:
        both = sorted(counted(one) + counted(other))
        return _bounded(both, windows, both[-1][0]) if both else [0]
    times = sorted(one[1:] + other[1:])
    return [0, *times[max(0, len(times) - capacity) :]]


def _leave_buckets(partial: Partial, capacity: int) -> None:
    """Drop, in place, the buckets of a more demanding condition that is gone, once there are single times enough."""
    if len(partial) - 1 - partial[0] >= capacity:
        partial[: len(partial) - capacity] = [0]


def _bounded(entries: list[Counted], windows: tuple[int, ...], as_of: int) -> Partial:
    """A partial of ascending entries; with more than LIMIT, the oldest go into buckets."""
    kept = LIMIT if len(entries) <= LIMIT else LIMIT - FOLDED_AT_ONCE
    # what is a bucket already stays one, whatever its place
    singles = [time for time, count in entries[max(0, len(entries) - kept) :] if count == 1]
    rest = entries[: max(0, len(entries) - kept)] + [entry for entry in entries[-kept:] if entry[1] > 1]
    buckets = gather(rest, windows, as_of, _join)
    return [2 * len(buckets), *_flat(buckets), *singles]


def _join(older: Counted, newer: Counted) -> Counted:
    return newer[0], older[1] + newer[1]


def _flat(entries: Iterable[Counted]) -> list[int]:
    return [number for entry in entries for number in entry]
