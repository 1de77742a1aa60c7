"""Waiting until stored events show in the membership store."""

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.api.errors import Unavailable
from services.api.positions import Position, plain_epoch
from shared.contracts.redis_keys import applied_key

WAIT_S = 2.0
"""The longest that a lookup waits."""
_LOOK_EVERY_S = 0.005
_ANSWER_S = 0.9
_MAX_WAITING = 10_000


class _Waiter(NamedTuple):
    log_epoch: str
    partition: int
    offset: int
    reached: "asyncio.Future[None]"


class AppliedOffsets:
    """How far the partitions are applied; all who wait share one look at Redis, and nobody looks when nobody waits."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None

    async def reached(self, position: Position, partitions: Collection[int]) -> bool:
        """Wait, two seconds at most, until these partitions show the events of a position.

        False: they do not, or they show another log. Raises Unavailable when too many wait.
        """
        if len(self._waiters) >= _MAX_WAITING:
            raise Unavailable("too many lookups wait for their events")
        loop = asyncio.get_running_loop()
        waiters = [
            _Waiter(position.log_epoch, partition, offset, loop.create_future())
            for partition, offset in position.offsets.items()
            if partition in partitions
        ]
        if not waiters:
            return True
        self._waiters.update(waiters)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait([waiter.reached for waiter in waiters], timeout=WAIT_S)
        finally:
            self._waiters.difference_update(waiters)
        return all(waiter.reached.done() for waiter in waiters)

    async def _look(self) -> None:
        try:
            while self._waiters:
                try:
                    async with asyncio.timeout(_ANSWER_S):
                        await self._look_once()
                except (RedisError, OSError, TimeoutError):
                    pass  # the lookup itself says that Redis is away
                await asyncio.sleep(_LOOK_EVERY_S)  # a key of Redis tells nobody that it was set
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        partitions = sorted({waiter.partition for waiter in self._waiters})
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.get(applied_key(partition))
        applied = dict(zip(partitions, await pipeline.execute(), strict=True))
        for waiter in self._waiters:
            epoch, _, next_offset = (applied.get(waiter.partition) or b" 0").decode().partition(" ")
            if (
                plain_epoch(epoch) == waiter.log_epoch
                and int(next_offset) > waiter.offset
                and not waiter.reached.done()
            ):
                waiter.reached.set_result(None)
