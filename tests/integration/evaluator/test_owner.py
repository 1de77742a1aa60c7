"""One partition's owner on real Kafka and Redis: what it publishes, in which order, and how far it trusts the clock."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from redis.asyncio import Redis

from services.evaluator.changelog import ChangelogWriter, claim
from services.evaluator.membership_writer import MembershipWriter
from services.evaluator.owner import Horizon, LostPlace, Owner
from services.evaluator.producer import LoopProducer
from services.evaluator.publisher import Publisher
from services.evaluator.records import RecordBatch
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from shared.contracts import redis_keys as keys
from shared.contracts.change import decode_change
from shared.contracts.command import Command, VersionWish
from shared.contracts.keys import partition_of, user_key
from shared.contracts.progress import Progress
from shared.contracts.topics import CHANGELOG, MEMBERSHIP_CHANGES, MIB, declare
from shared.runtime.kafka import ensure_topics, new_producer

ANN = user_key(1, "ann")
PARTITION = partition_of(ANN, 12)
SECOND_US = 1_000_000
CONDITION = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1, "window_seconds": 5}
WISH = Command(1, 7, 1, serving=VersionWish(1, {"logic": "AND", "conditions": [CONDITION]}))


@dataclasses.dataclass
class Message:
    """An event as the client decoded it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def _bought(offset: int, at_s: float) -> Message:
    value = json.dumps({"tenant": 1, "user_id": "ann", "event_type": "buy"}).encode()
    return Message(offset, int(at_s * 1000), ANN, value)


class Running:
    """An owner at work on a partition that nobody owned before."""

    def __init__(self, bootstrap_servers: str, redis: Any, owner: Owner, reports: list[Progress]) -> None:
        self._bootstrap_servers, self.redis, self.owner, self.reports = bootstrap_servers, redis, owner, reports

    async def fold(self, start: int, end: int, *messages: Message) -> None:
        """Deliver `[start, end)` and wait until it is published."""
        done = asyncio.Event()
        await self.owner.deliver(RecordBatch(PARTITION, start, end, messages), done.set)
        await asyncio.wait_for(done.wait(), 10)

    async def pass_time(self, now_s: float, end_offset: int) -> None:
        """Tell the clock, and wait until the owner has told Redis that it looked."""
        before = await self.redis.get(keys.head_key(PARTITION))
        self.owner.look(Horizon(int(now_s * SECOND_US), end_offset))
        await _until(lambda: self._head_moved(before))

    async def _head_moved(self, before: bytes) -> bool:
        return bool(await self.redis.get(keys.head_key(PARTITION)) != before)

    async def members(self) -> list[bytes]:
        """The users in the segment, as Redis has them."""
        return list(await self.redis.zrange(keys.members_key(PARTITION, 1, 7), 0, -1))

    async def messages(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        """Key and value of all messages of the partition."""
        return await asyncio.to_thread(self._read, topic)

    def _read(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        servers = {"bootstrap.servers": self._bootstrap_servers, "log_level": 2}
        consumer = Consumer(servers | {"group.id": "readers", "enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, PARTITION, OFFSET_BEGINNING)])
        found: list[Any] = []
        while (message := consumer.poll(10)) is not None and message.error() is None:
            found.append(message)
        consumer.close()
        return [(message.key(), message.value()) for message in found]


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - Redis does not tell
            await asyncio.sleep(0.01)


@pytest.fixture
async def running(kafka_bootstrap_servers: str, redis_url: str) -> AsyncIterator[Running]:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    redis, producer = Redis.from_url(redis_url), LoopProducer(new_producer(kafka_bootstrap_servers, MIB))
    table = StateTable(PARTITION)
    table.after_recovery(await claim(producer, PARTITION, "test", 0), "log")
    changelog, writer = ChangelogWriter(producer, table), MembershipWriter(redis, table, lambda _: None)
    await writer.take_over()
    publisher = Publisher(table, changelog, writer, producer)
    reports: list[Progress] = []
    owner = Owner(table, Step(table, 12), changelog, publisher, reports.append)
    tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(owner.run())]
    yield Running(kafka_bootstrap_servers, redis, owner, reports)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.to_thread(producer.stop, 10)
    await redis.aclose()


async def _follow(running: Running) -> None:
    running.owner.wish(WISH)

    async def switched() -> bool:
        return [report.status for report in running.reports] == ["switched"]

    await _until(switched)


async def test_an_event_that_lies_unread_is_not_run_past_by_the_wall_clock(running: Running) -> None:
    await _follow(running)
    await running.fold(0, 1, _bought(0, 1000))
    await running.pass_time(1060, end_offset=2)
    assert await running.members() == [b"ann"], "offset 1 may extend what looks due"
    assert await running.redis.get(keys.clock_key(PARTITION)) == b"%d" % (1000 * SECOND_US)
    await running.fold(1, 2, _bought(1, 1004))

    async def both_are_sent() -> bool:
        return len(await running.messages(MEMBERSHIP_CHANGES)) >= 2

    await _until(both_are_sent)
    assert await running.members() == []
    turns = [decode_change(value or b"") for _, value in await running.messages(MEMBERSHIP_CHANGES)]
    assert [(turn.change, turn.at_us, turn.sequence) for turn in turns] == [
        ("entered", 1000 * SECOND_US, 1),
        ("exited", 1009 * SECOND_US, 2),
    ]


async def test_a_turned_user_is_in_the_changelog_before_the_batch_is_acknowledged(running: Running) -> None:
    await _follow(running)
    await running.fold(0, 1, _bought(0, 1000))
    written = [key for key, _ in await running.messages(CHANGELOG)]
    assert ANN in written
    assert written[-1] == b"\0partition", "the partition record ends every flush"
    assert await running.members() == [b"ann"]


async def test_a_cutover_is_durable_before_it_is_reported_and_events_below_do_not_count(running: Running) -> None:
    await running.fold(0, 3, _bought(0, 1000))
    await _follow(running)
    assert [report.cutover for report in running.reports] == [3]
    written = [key for key, _ in await running.messages(CHANGELOG)]
    assert b"\0segment:7" in written
    assert await running.members() == []
    await running.fold(3, 4, _bought(3, 1001))
    assert await running.members() == [b"ann"]


async def test_a_command_that_is_not_newer_changes_nothing(running: Running) -> None:
    await _follow(running)
    await running.fold(0, 1, _bought(0, 1000))
    running.owner.wish(WISH)

    async def reported_again() -> bool:
        return len(running.reports) == 2

    await _until(reported_again)
    assert running.reports[1] == running.reports[0], "the cutover stays"
    assert await running.members() == [b"ann"]


async def test_a_batch_that_does_not_follow_the_last_ends_the_owner(running: Running) -> None:
    await running.fold(0, 5, _bought(0, 1000))
    await running.fold(3, 7, _bought(6, 1001))  # a replay may overlap
    await running.owner.deliver(RecordBatch(PARTITION, 9, 10, [_bought(9, 1002)]), lambda: None)
    (worker,) = [task for task in asyncio.all_tasks() if "Owner.run" in repr(task.get_coro())]
    with pytest.raises(LostPlace, match="offset 7 comes next, but the log is read from 9"):
        await asyncio.wait_for(worker, 10)
