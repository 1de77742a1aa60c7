"""The members of a segment in one partition, read from Redis while they change."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from redis import Redis

from services.exporter.exports.rows import members_at
from shared.contracts.redis_keys import (
    clock_key,
    head_key,
    members_key,
    published_key,
    published_of,
    rebuilding_key,
    script_of,
    user_prefix,
)

PAGE = 4_000
"""Users read at once: some milliseconds of Redis, which answers nobody else meanwhile."""

_NOTHING = b"-1 -1"


class DataLost(Exception):  # noqa: N818 - it names the thing
    """Walk anew: Redis lost the partition, or shows an older copy than before; what was read may not be all."""


class PartitionMembers:
    """One partition as an export sees it. Raises redis.RedisError anywhere."""

    def __init__(self, redis: Redis, partition: int, tenant: int, segment_id: int) -> None:
        self.partition = partition
        self._redis: Any = redis
        self._segment_id = segment_id
        self._guard = [head_key(partition), rebuilding_key(partition)]
        self._prefix = user_prefix(partition) + b"%d:" % tenant
        self._members = members_key(partition, tenant, segment_id)
        self._head = _NOTHING
        """The newest that was seen of a walk."""

    def clock(self) -> int:
        """The partition's T, in microseconds since 1970."""
        return int(self._redis.get(clock_key(self.partition)) or 0)

    def begin(self) -> None:
        """Forget what a walk has seen."""
        self._head = _NOTHING

    def lack(self, as_of: int) -> str | None:
        """What is missing until all turns up to `as_of`, and all that a walk has seen, are in Redis and in the log of
        changes; None: nothing. Raises DataLost if Redis has forgotten what a walk has seen.
        """
        head, rebuilding, published = self._redis.mget([*self._guard, published_key(self.partition)])
        if head is None or rebuilding is not None:
            return f"the memberships of partition {self.partition} are not there, or are being rebuilt"
        self._refuse_older(head)
        sent = published_of(published)
        if sent.settled_us > as_of and sent.covers(self._head):
            return None
        return f"the evaluator has not come to the instant of this export in partition {self.partition}"

    def walk(self, as_of: int) -> Iterator[pa.RecordBatch]:
        """The members at `as_of`, but for those whose membership changes about now; after `lack` found none.

        Each user comes once. Raises DataLost.
        """
        names: list[bytes] = []
        while True:
            values, following = self._page(names)
            if names:
                yield members_at(names, values, self._segment_id, as_of)
            if not following:
                return
            names = following

    def _page(self, names: list[bytes]) -> tuple[list[bytes | None], list[bytes]]:
        """The values of these users, and the users after them; both are of a time when nothing was missing."""
        with self._redis.pipeline(transaction=True) as page:
            page.mget([*self._guard, *(self._prefix + name for name in names)])
            page.zrangebylex(self._members, b"(" + names[-1] if names else b"-", b"+", 0, PAGE)
            (head, rebuilding, *values), following = page.execute()
        if head is None or rebuilding is not None:
            raise DataLost
        self._refuse_older(head)
        self._head = head
        return values, following

    def _refuse_older(self, head: bytes) -> None:
        if script_of(head) < script_of(self._head):
            raise DataLost
