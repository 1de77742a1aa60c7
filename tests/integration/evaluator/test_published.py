"""How far the changes of a partition are sent: Redis never says more than is true, on real Kafka and Redis."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from services.evaluator.owner import Horizon
from services.evaluator.publisher import Publisher
from shared.contracts import redis_keys as keys
from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics
from tests.integration.evaluator.support import (
    PARTITION,
    PARTITIONS,
    PATIENCE_S,
    SECOND_US,
    Running,
    bought,
    owning,
    until,
    wish,
)

BOB = next(name for name in map("bob-{}".format, count()) if partition_of(user_key(1, name), PARTITIONS) == PARTITION)
"""Of the same partition as Ann."""
WISH = wish("gte", window_seconds=5)


class HeldUp(Publisher):
    """Sends the changes of a publication when it is let."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.let, self.waits = asyncio.Semaphore(0), asyncio.Event()

    async def _send(self, changes: list[tuple[bytes, bytes]], dead: Any) -> None:
        if changes:
            self.waits.set()
            await self.let.acquire()
        await super()._send(changes, dead)

    async def held_up(self) -> None:
        """The next publication is in Redis, and its changes are not sent."""
        await asyncio.wait_for(self.waits.wait(), PATIENCE_S)
        self.waits.clear()


@pytest.fixture
async def running(kafka_bootstrap_servers: str, redis_url: str) -> AsyncIterator[Running]:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    async with owning(kafka_bootstrap_servers, redis_url, HeldUp) as running:
        await running.follow(WISH)
        yield running


@pytest.fixture
def publisher(running: Running) -> HeldUp:
    assert isinstance(running.publisher, HeldUp)
    return running.publisher


async def _published(running: Running) -> keys.Published:
    return keys.published_of(await running.redis.get(keys.published_key(PARTITION)))


async def test_a_turn_is_announced_when_its_change_is_sent_and_not_before(running: Running, publisher: HeldUp) -> None:
    folding = asyncio.create_task(running.fold(0, 1, bought(0, 1000)))
    await publisher.held_up()
    shown = await running.redis.get(keys.head_key(PARTITION))
    assert await running.members() == [b"ann"], "Redis comes before the changes"
    assert not (await _published(running)).covers(shown)
    publisher.let.release()
    await folding
    await running.pass_time(1001, end_offset=1)
    assert (await _published(running)).covers(shown)
    assert [turn.change for turn in await running.changes()] == ["entered"]


async def test_what_a_rewritten_redis_shows_too_early_is_not_announced_and_never_goes_back(
    running: Running, publisher: HeldUp
) -> None:
    first = asyncio.create_task(running.fold(0, 1, bought(0, 1000)))
    await publisher.held_up()
    # queued behind the one that is held up: Ann stays a second longer and Bob comes; then Ann leaves
    second = asyncio.create_task(running.fold(1, 3, bought(1, 1001), bought(2, 1004, BOB)))
    await until(lambda: _has_queued(publisher, 1))
    running.owner.look(Horizon(1007 * SECOND_US, 3))
    await until(lambda: _has_queued(publisher, 2))
    await running.redis.flushall()
    await publisher.rebuild()
    shown = await running.redis.get(keys.head_key(PARTITION))
    assert await running.members() == [BOB.encode()]
    publisher.let.release()
    await first
    await publisher.held_up()
    assert await running.members() == [BOB.encode()], "an older value was written over a newer one"
    publisher.let.release()
    await second
    await publisher.held_up()
    assert not (await _published(running)).covers(shown), "Ann's exit is not sent yet"
    publisher.let.release()
    for second_of_day in (1008, 1009):
        await running.pass_time(second_of_day, end_offset=3)
    assert (await _published(running)).covers(shown)


async def _has_queued(publisher: Publisher, count: int) -> bool:
    return publisher.waiting >= count


async def test_turns_are_settled_up_to_the_clock_and_not_past_one_who_is_due(
    running: Running, publisher: HeldUp
) -> None:
    for _ in range(2):
        publisher.let.release()
    await running.fold(0, 1, bought(0, 1000))
    for second in (1002, 1003):
        await running.pass_time(second, end_offset=1)
    assert (await _published(running)).settled_us == 1002 * SECOND_US
    for second in (1006, 1007):
        await running.pass_time(second, end_offset=1)
    assert (await _published(running)).settled_us == 1006 * SECOND_US
    assert [(turn.change, turn.at_us) for turn in await running.changes()][-1] == ("exited", 1005 * SECOND_US)
