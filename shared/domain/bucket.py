"""Buckets: where a list of times passes its bound, the oldest entries of each small span become one.

A bucket stands at the newest instant it holds, so an entry leaves a window up to one bucket late, never early.
Bucket spans are powers of two aligned at 0: a finer bucket lies whole in the coarser one it later joins.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import TypeVar

LIMIT = 4_096
"""Entries kept one by one in a list."""
FOLDED_AT_ONCE = 1_024
"""Entries that leave the list together, so that the work is shared by as many events."""
ALWAYS_EXACT = LIMIT - FOLDED_AT_ONCE
"""The newest entries that are never in a bucket."""
PER_WINDOW = 1_024
"""A window spans at least this many buckets."""

Entry = TypeVar("Entry", bound=tuple[int, ...])


def bucket_shift(windows: tuple[int, ...], age: int) -> int | None:
    """log2 of the bucket span (us) at an age: of the smallest window that still reaches it; None when none does.

    Args:
        windows: the lengths in us, ascending.
        age: as_of - time, us.
    """
    index = bisect_right(windows, age)
    if index == len(windows):
        return None
    return max(0, (windows[index] // PER_WINDOW).bit_length() - 1)


def gather(
    entries: Iterable[Entry], windows: tuple[int, ...], as_of: int, join: Callable[[Entry, Entry], Entry]
) -> list[Entry]:
    """Entries (each an instant and what it counts) of one bucket joined, those that no window reaches dropped.

    Args:
        entries: in any order; `entry[0]` is the newest instant it holds.
        windows: the lengths in us, ascending.
        as_of: an instant not later than any evaluation to come.
        join: (older, newer) -> both in one, at the instant of the newer.
    """
    gathered: list[Entry] = []
    last: tuple[int, int] | None = None
    for entry in sorted(entries):
        shift = bucket_shift(windows, as_of - entry[0])
        if shift is None:
            continue
        bucket = (shift, entry[0] >> shift)
        if bucket == last:
            gathered[-1] = join(gathered[-1], entry)
        else:
            gathered.append(entry)
            last = bucket
    return gathered
