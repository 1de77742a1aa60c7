"""The members of a segment, page by page, while people come and go.

A walk goes through the partitions in their order, and in each through the user ids in theirs. Where a user stands in
that order never changes, so whoever is a member from the first page to the last is met exactly once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from services.api.errors import Unavailable
from services.api.membership import member_since
from services.api.membership_store import answered
from shared.contracts.redis_keys import clock_key, head_key, members_key, rebuilding_key, user_key
from shared.runtime.clock import Clock

_MAX_LOOKED_AT = 20_000
"""So many users a page looks at; it is short, and not the last, where most of them are no members any more."""


class Place(NamedTuple):
    """Where a walk goes on: behind this user of this partition; an empty id is before all."""

    partition: int
    user_id: str


START = Place(0, "")


class Member(NamedTuple):
    """A member, and since when, in microseconds since 1970."""

    user_id: str
    entered_at: int


class MemberPages:
    """Reads the membership store; never leaves out a partition that is missing or being rebuilt."""

    def __init__(self, redis: Redis, partitions: int, clock: Clock) -> None:
        self._redis, self._partitions, self._clock = redis, partitions, clock

    async def page(self, tenant: int, segment_id: int, place: Place, limit: int) -> tuple[list[Member], Place | None]:
        """Up to `limit` members behind a place, and where the walk goes on; None: nowhere. Raises Unavailable."""
        members: list[Member] = []
        looked_at = 0
        while place.partition < self._partitions and looked_at < _MAX_LOOKED_AT:
            wanted = limit - len(members)
            if not wanted:
                break
            users = await self._users(tenant, segment_id, place, wanted)
            members += await self._members(tenant, segment_id, place.partition, users)
            looked_at += len(users)
            is_last = len(users) < wanted
            place = Place(place.partition + 1, "") if is_last else Place(place.partition, users[-1].decode())
        return members, place if place.partition < self._partitions else None

    async def _users(self, tenant: int, segment_id: int, place: Place, count: int) -> list[bytes]:
        """The next user ids of the partition's member set."""
        partition, behind = place
        # one transaction: an empty set of a store that has just lost everything is no answer
        pipeline = self._redis.pipeline(transaction=True)
        low = b"(" + behind.encode() if behind else b"-"
        pipeline.zrangebylex(members_key(partition, tenant, segment_id), low, b"+", start=0, num=count)
        pipeline.mget(head_key(partition), rebuilding_key(partition))
        users, state = await answered(pipeline.execute())
        _require_whole(*state)
        return list(users)

    async def _members(self, tenant: int, segment_id: int, partition: int, users: Sequence[bytes]) -> list[Member]:
        """Those of the users who are members now: the set may trail behind the clock by a sweep."""
        if not users:
            return []
        user_ids = [user.decode() for user in users]
        keys = [user_key(partition, tenant, user_id) for user_id in user_ids]
        found: list[Any] = await answered(
            self._redis.mget(head_key(partition), rebuilding_key(partition), clock_key(partition), *keys)
        )
        head, rebuilding, clock, *values = found
        _require_whole(head, rebuilding)
        now = max(self._clock.now_us(), int(clock or 0))
        since = [None if value is None else member_since(value, segment_id, now) for value in values]
        return [Member(user_id, at) for user_id, at in zip(user_ids, since, strict=True) if at is not None]


def _require_whole(head: bytes | None, rebuilding: bytes | None) -> None:
    if head is None or rebuilding is not None:
        raise Unavailable("memberships are being rebuilt")
