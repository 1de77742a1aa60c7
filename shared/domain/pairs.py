"""The aggregate `pairs`: the times and numbers of a property, for metrics in a window.

Partial: [h, bucket, ..., time, value, ...]: h integers of buckets (instant, count, sum, max, min), then single pairs,
ascending. Values are in 1e-6 units. Pairs that the longest window has left are dropped.
"""

from bisect import bisect_right

from shared.domain.aggregate import NOTHING, Totals, Verbs, number_reader
from shared.domain.bucket import FOLDED_AT_ONCE, LIMIT, gather
from shared.domain.event import Event
from shared.domain.user_state import Partial

Weighed = tuple[int, int, int, int, int]
"""An instant, and count, sum, maximum and minimum of the values that stand there."""

_BUCKET = 5


def pairs_verbs(name: str, windows: tuple[int, ...]) -> Verbs:
    """The verbs for the numbers of a property.

    Args:
        name: the property.
        windows: the window lengths of the conditions that share the pairs, in us, ascending, at least one.
    """
    read = number_reader(name)
    longest = windows[-1]

    def add(partial: Partial, event: Event) -> None:
        value = read(event.payload)
        # no evaluation to come is earlier than this receipt: what lies at the edge or before is never asked for again
        edge = event.received_at - longest
        if len(partial) > 1 and partial[1] <= edge:
            drop_through(partial, edge)
        if value is None or event.occurred_at <= edge:
            return
        time = event.occurred_at
        # ascending by time, then by value, so that no order of arrival shows
        if len(partial) == 1 + partial[0] or time > partial[-2] or (time == partial[-2] and value >= partial[-1]):
            partial += (time, value)
        else:
            _insert(partial, time, value)
        if len(partial) - partial[0] > 1 + 2 * LIMIT:
            partial[:] = _bounded(weighed(partial), windows, event.received_at)

    def merge(one: Partial, other: Partial) -> Partial:
        both = sorted(weighed(one) + weighed(other))
        return _bounded(both, windows, both[-1][0]) if both else [0]

    return Verbs(
        zero=lambda: [0],
        add=add,
        merge=merge,
        value=lambda partial, as_of, window: totals_after(partial, as_of - (window or longest)),
    )


def weighed(partial: Partial) -> list[Weighed]:
    """All entries of a partial, buckets first."""
    start = 1 + partial[0]
    columns = [partial[column:start:_BUCKET] for column in range(1, 1 + _BUCKET)]
    buckets: list[Weighed] = list(zip(*columns, strict=True))
    singles = zip(partial[start::2], partial[start + 1 :: 2], strict=True)
    return buckets + [(time, 1, value, value, value) for time, value in singles]


Columns = tuple[list[int], list[int], list[int], list[int], list[int]]
"""Entries side by side, newest first: their instants; count, sum, maximum and minimum of the values there."""


def columns_after(partial: Partial, edge: int) -> Columns:
    """The entries after `edge`."""
    first, start = first_after(partial, edge), 1 + partial[0]
    times, values = partial[-2 : first - 1 : -2], partial[:first:-2]
    numbers = [1] * len(values)
    if start == 1:
        return times, numbers, values, values, values
    gone = bisect_right(partial[1:start:_BUCKET], edge)
    ends, counts, sums, highs, lows = (
        partial[column + gone * _BUCKET : start : _BUCKET][::-1] for column in range(1, 1 + _BUCKET)
    )
    return times + ends, numbers + counts, values + sums, values + highs, values + lows


def first_after(partial: Partial, edge: int) -> int:
    """The index of the first single pair whose time is after `edge`."""
    start: int = 1 + partial[0]
    # nearly always: what has left the longest window is dropped by the next event
    if len(partial) == start or partial[start] > edge:
        return start
    pairs = range((len(partial) - start) // 2)
    return start + 2 * bisect_right(pairs, edge, key=lambda pair: partial[start + 2 * pair])


def totals_after(partial: Partial, edge: int) -> Totals:
    """The totals of the entries after `edge`."""
    _, numbers, sums, highs, lows = columns_after(partial, edge)
    return Totals(sum(numbers), sum(sums), max(highs), min(lows)) if numbers else NOTHING


def drop_through(partial: Partial, edge: int) -> None:
    """Drop, in place, what lies at `edge` or before."""
    start = 1 + partial[0]
    buckets = partial[1:start]
    kept = 0
    while kept < len(buckets) and buckets[kept] <= edge:
        kept += _BUCKET
    partial[: first_after(partial, edge)] = [len(buckets) - kept, *buckets[kept:]]


def _insert(partial: Partial, time: int, value: int) -> None:
    """Put a late pair where it belongs."""
    start = 1 + partial[0]
    singles = list(zip(partial[start::2], partial[start + 1 :: 2], strict=True))
    at = start + 2 * bisect_right(singles, (time, value))
    partial[at:at] = (time, value)


def _bounded(entries: list[Weighed], windows: tuple[int, ...], as_of: int) -> Partial:
    """A partial of ascending entries; with more than LIMIT, the oldest go into buckets."""
    kept = LIMIT if len(entries) <= LIMIT else LIMIT - FOLDED_AT_ONCE
    newest = entries[-kept:]
    # what is a bucket already stays one, whatever its place
    rest = entries[: max(0, len(entries) - kept)] + [entry for entry in newest if entry[1] > 1]
    buckets = gather(rest, windows, as_of, _join)
    flat = [number for entry in buckets for number in entry]
    singles = [number for entry in newest if entry[1] == 1 for number in (entry[0], entry[2])]
    return [len(flat), *flat, *singles]


def _join(older: Weighed, newer: Weighed) -> Weighed:
    return (
        newer[0],
        older[1] + newer[1],
        older[2] + newer[2],
        max(older[3], newer[3]),
        min(older[4], newer[4]),
    )
