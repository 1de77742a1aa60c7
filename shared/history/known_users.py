"""The users that a tenant has in some partitions, and ranges of them of about equal size."""

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import duckdb

SAMPLE = 1_024
"""Users drawn to find where a range ends."""


class Range(NamedTuple):
    """Users from `low` on, below `high`; None: no bound."""

    low: str | None
    high: str | None


class KnownUsers:
    """Asked when needed. Raises duckdb.Error when the files cannot be read."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, tenant: int, partitions: list[int]) -> None:
        self._cursor = cursor
        self._rows = "FROM events WHERE tenant = $tenant AND makes_known AND list_contains($partitions, log_partition)"
        self._bound = {"tenant": tenant, "partitions": partitions}

    def count(self) -> int:
        """About how many there are, rather too many than too few."""
        ((users,),) = self._cursor.sql(f"SELECT count(*) {self._rows}", params=self._bound).fetchall()
        return int(users)

    def divided(self, users: Range, parts: int) -> list[Range]:
        """A range as that many, or fewer if the sample knows of fewer users in it."""
        borders: list[str] = []
        if parts > 1 and (inside := [each for each in self._sample if _divides(users, each)]):
            borders = sorted({inside[len(inside) * part // parts] for part in range(1, parts)})
        return [Range(low, high) for low, high in pairwise([users.low, *borders, users.high])]

    @cached_property
    def _sample(self) -> list[str]:
        """The ids of some, ascending."""
        sampled = f"FROM (SELECT user_id {self._rows}) USING SAMPLE reservoir({SAMPLE} ROWS)"
        return sorted({user_id for (user_id,) in self._cursor.sql(sampled, params=self._bound).fetchall()})


def _divides(users: Range, user_id: str) -> bool:
    return (users.low is None or user_id > users.low) and (users.high is None or user_id < users.high)
