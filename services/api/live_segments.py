"""Which segments of a tenant have members at all: read from PostgreSQL, at most a second old."""

from collections.abc import Awaitable, Callable

from services.api.kept import Kept

MAX_AGE_S = 1.0
"""Lookups of a deleted segment end this much later at the latest."""


class LiveSegments(Kept[int, frozenset[int]]):
    """The live set of every tenant asked for lately."""

    def __init__(self, read: Callable[[int], Awaitable[frozenset[int]]]) -> None:
        """`read` asks PostgreSQL and raises DatabaseUnavailable."""
        super().__init__("the segments", read, MAX_AGE_S)
