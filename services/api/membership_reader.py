"""Reading the membership store: lookups of one turn of the event loop share one pipeline."""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.api.errors import Unavailable
from shared.contracts.keys import partition_of
from shared.contracts.keys import user_key as message_key
from shared.contracts.redis_keys import clock_key, head_key, rebuilding_key, user_key
from shared.runtime.metrics import API_LOOKUP_PIPELINE_USERS

_TIMEOUT_S = 0.9
"""Of one pipeline: a lookup while the store is down is refused within a second."""
_PIPELINES = 2
"""Under way at once; what comes meanwhile waits and shares the next."""
_MAX_WAITING = 20_000
"""Users; beyond it lookups are refused instead of queued."""
_TELL_EVERY_S = 1.0
_OWN_KEYS = 3
_PLACES = 50_000

_log = logging.getLogger(__name__)


class Values(NamedTuple):
    """The packed values of the users asked for, in their order, and the highest clock of their partitions."""

    clock: int
    values: list[bytes | None]


class _Ask(NamedTuple):
    partition: int
    keys: list[bytes]
    answer: "asyncio.Future[Values]"


@lru_cache(maxsize=_PLACES)
def _place(partitions: int, tenant: int, user_id: str) -> tuple[int, bytes]:
    """Partition and key of a user; kept for the users asked for lately, because murmur2 is slow in Python."""
    partition = partition_of(message_key(tenant, user_id), partitions)
    return partition, user_key(partition, tenant, user_id)


class MembershipReader:
    """Reads packed values; never answers for a partition that is missing or being rebuilt."""

    def __init__(self, redis: Redis, partitions: int) -> None:
        self._redis = redis
        self._partitions = partitions
        self._waiting: list[_Ask] = []
        self._waiting_users = 0
        self._flush_due = False
        self._told_at_s = float("-inf")
        self._running: set[asyncio.Task[None]] = set()

    def partition(self, tenant: int, user_id: str) -> int:
        """Where the user is."""
        return _place(self._partitions, tenant, user_id)[0]

    async def one(self, tenant: int, user_id: str) -> Values:
        """The value of one user. Raises Unavailable."""
        partition, key = _place(self._partitions, tenant, user_id)
        return await self._ask(partition, [key])

    async def many(self, tenant: int, user_ids: Sequence[str]) -> Values:
        """The values of several users, one MGET for each partition. Raises Unavailable if any cannot be had."""
        by_partition: dict[int, list[int]] = {}
        keys = []
        for at, user_id in enumerate(user_ids):
            partition, key = _place(self._partitions, tenant, user_id)
            keys.append(key)
            by_partition.setdefault(partition, []).append(at)
        asks = [self._ask(partition, [keys[at] for at in places]) for partition, places in by_partition.items()]
        answers = await asyncio.gather(*asks)
        values: list[bytes | None] = [None] * len(user_ids)
        for places, answer in zip(by_partition.values(), answers, strict=True):
            for at, value in zip(places, answer.values, strict=True):
                values[at] = value
        return Values(max(answer.clock for answer in answers), values)

    def _ask(self, partition: int, keys: list[bytes]) -> "asyncio.Future[Values]":
        if self._waiting_users + len(keys) > _MAX_WAITING:
            raise Unavailable("too many lookups are waiting")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Values] = loop.create_future()
        self._waiting.append(_Ask(partition, keys, answer))
        self._waiting_users += len(keys)
        if not self._flush_due:
            self._flush_due = True
            loop.call_soon(self._flush)
        return answer

    def _flush(self) -> None:
        self._flush_due = False
        if not self._waiting or len(self._running) >= _PIPELINES:
            return
        asks, self._waiting, self._waiting_users = self._waiting, [], 0
        task = asyncio.create_task(self._read(asks))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._flush()

    async def _read(self, asks: list[_Ask]) -> None:
        by_partition: dict[int, list[_Ask]] = {}
        for ask in asks:
            by_partition.setdefault(ask.partition, []).append(ask)
        pipeline = self._redis.pipeline(transaction=False)
        users = 0
        for partition, same in by_partition.items():
            keys = [head_key(partition), clock_key(partition), rebuilding_key(partition)]
            for ask in same:
                keys += ask.keys
            users += len(keys) - _OWN_KEYS
            pipeline.mget(keys)
        API_LOOKUP_PIPELINE_USERS.observe(users)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                found = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._tell(error)
            _refuse(asks, "the membership store does not answer")
        except asyncio.CancelledError:
            _refuse(asks, "the api is stopping")
            raise
        else:
            for same, values in zip(by_partition.values(), found, strict=True):
                _answer(same, values)

    def _tell(self, error: Exception) -> None:
        # in an outage every lookup fails, several thousand a second: one line tells of them all
        now_s = time.monotonic()
        if now_s - self._told_at_s >= _TELL_EVERY_S:
            self._told_at_s = now_s
            _log.warning("the membership store does not answer: %s", str(error) or type(error).__name__)


def _answer(asks: list[_Ask], found: list[bytes | None]) -> None:
    head, clock, rebuilding, *values = found
    if head is None or rebuilding is not None:
        _refuse(asks, "memberships are being rebuilt")
        return
    at = 0
    for ask in asks:
        end = at + len(ask.keys)
        if not ask.answer.done():
            ask.answer.set_result(Values(int(clock or 0), values[at:end]))
        at = end


def _refuse(asks: list[_Ask], reason: str) -> None:
    for ask in asks:
        if not ask.answer.done():
            ask.answer.set_exception(Unavailable(reason))
