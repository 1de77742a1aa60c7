"""An owner of one partition, made of its real parts, under a test's control."""

import asyncio
import dataclasses
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from redis.asyncio import Redis

from services.evaluator.backfill import Backfills
from services.evaluator.changelog import ChangelogWriter, claim, recover
from services.evaluator.clock_watch import ClockWatch
from services.evaluator.dead_letter_ceiling import DeadLetterCeiling
from services.evaluator.history import History
from services.evaluator.membership_writer import MembershipWriter
from services.evaluator.owner import Horizon, Owner
from services.evaluator.producer import LoopProducer
from services.evaluator.publisher import Publisher
from services.evaluator.records import RecordBatch
from services.evaluator.recovery import Recovery
from services.evaluator.step import Step
from shared.contracts import redis_keys as keys
from shared.contracts.change import Change, decode_change
from shared.contracts.command import Command, VersionWish
from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import partition_of, user_key
from shared.contracts.progress import Progress
from shared.contracts.topics import MEMBERSHIP_CHANGES, MIB
from shared.history.address import HistoryAddress
from shared.history.engine import Engine
from shared.history.index import PartitionIndex
from shared.history.rows import row_of
from shared.history.snapshot import HistoryReader
from shared.history.table import Position
from shared.history.writer import HistoryWriter, Stretch
from shared.runtime.clock import SystemClock
from shared.runtime.kafka import new_producer
from tests.support.archived import LOG_EPOCH

PARTITIONS = 12
ANN = user_key(1, "ann")
PARTITION = partition_of(ANN, PARTITIONS)
SECOND_US = 1_000_000
SEGMENT = 7
PATIENCE_S = 20
FAR_APART_US = 1 << 60
"""The messages of these tests are of 1970: no clock agrees with them."""


@dataclasses.dataclass
class Message:
    """An event as the client decoded it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def bought(offset: int, at_s: float, user_id: str = "ann") -> Message:
    """Somebody buys; received at `at_s`."""
    value = json.dumps({"tenant": 1, "user_id": user_id, "event_type": "buy"}).encode()
    return Message(offset, int(at_s * 1000), user_key(1, user_id), value)


def wish(operator: str, value: int = 1, **window: int) -> Command:
    """The segment of those who bought so often (`eq`) or at least so often (`gte`), in the window if one is given."""
    condition = {"type": "event_count", "event_type": "buy", "operator": operator, "value": value} | window
    return Command(1, SEGMENT, 1, serving=VersionWish(1, {"logic": "AND", "conditions": [condition]}))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that nobody announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - as the name says
            await asyncio.sleep(0.01)


class Running:
    """An owner at work."""

    def __init__(self, bootstrap_servers: str, redis: Any, owner: Owner, publisher: Publisher) -> None:
        self._bootstrap_servers, self.redis, self.owner = bootstrap_servers, redis, owner
        self.publisher = publisher
        self.reports: list[Progress] = []
        self.history: HistoryAddress
        self.worker = asyncio.create_task(owner.run())
        self.publishing = asyncio.create_task(publisher.run())

    async def follow(self, command: Command) -> None:
        """Take a command; returns when its walk is reported."""
        self.owner.wish(command)
        await self.reported("switched")

    async def reported(self, *statuses: str) -> None:
        """Wait until all that was reported is this."""

        async def said() -> bool:
            return tuple(report.status for report in self.reports) == statuses

        await until(said)

    def archive(self, next_offset: int, *messages: Message) -> None:
        """Make them all that the history has of the partition below `next_offset`."""
        events = [to_event(decode_event(m.value or b""), m.timestamp * 1000, m.offset) for m in messages]
        rows = [row_of(1, event, PARTITION) for event in events]
        with PartitionIndex() as index:
            stretch = Stretch(0, Position(next_offset, rows[-1].received_at), rows, index.mark(rows))
        HistoryWriter(self.history, LOG_EPOCH).append({PARTITION: stretch})

    async def fold(self, start: int, end: int, *messages: Message) -> None:
        """Deliver `[start, end)` and wait until it is published."""
        done = asyncio.Event()
        await self.owner.deliver(RecordBatch(PARTITION, start, end, messages), done.set)
        await asyncio.wait_for(done.wait(), PATIENCE_S)

    async def pass_time(self, now_s: float, end_offset: int, *, is_trusted: bool = True) -> None:
        """Tell the clock, and wait until the owner has told Redis that it looked."""
        before = await self.redis.get(keys.head_key(PARTITION))
        self.owner.look(Horizon(int(now_s * SECOND_US), end_offset, is_trusted))

        async def head_moved() -> bool:
            return bool(await self.redis.get(keys.head_key(PARTITION)) != before)

        await until(head_moved)

    async def members(self) -> list[bytes]:
        """The users in the segment, as Redis has them."""
        return list(await self.redis.zrange(keys.members_key(PARTITION, 1, SEGMENT), 0, -1))

    async def changes(self) -> list[Change]:
        """All membership changes sent, repeats included."""
        return [decode_change(value or b"") for _, value in await self.messages(MEMBERSHIP_CHANGES)]

    async def messages(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        """Key and value of all messages of the partition."""
        return await asyncio.to_thread(self._read, topic)

    def _read(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        consumer = Consumer(_reader(self._bootstrap_servers) | {"enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, PARTITION, OFFSET_BEGINNING)])
        found: list[Any] = []
        while (message := consumer.poll(PATIENCE_S)) is not None and message.error() is None:
            found.append(message)
        consumer.close()
        return [(message.key(), message.value()) for message in found]


def _reader(bootstrap_servers: str) -> dict[str, Any]:
    return {"bootstrap.servers": bootstrap_servers, "log_level": 2, "group.id": "readers"}


@asynccontextmanager
async def owning(
    bootstrap_servers: str,
    redis_url: str,
    publisher_class: type[Publisher] = Publisher,
    changelog_class: type[ChangelogWriter] = ChangelogWriter,
) -> AsyncIterator[Running]:
    """Take the partition as a worker does: claim, recover, take over Redis, publish what was left, work."""
    redis: Any = Redis.from_url(redis_url)
    producer = LoopProducer(new_producer(bootstrap_servers, MIB))
    clock = ClockWatch(SystemClock(), FAR_APART_US)
    epoch = await claim(producer, PARTITION, "test", clock)

    def new_consumer() -> Consumer:
        return Consumer(_reader(bootstrap_servers) | {"enable.partition.eof": True})

    consumer = new_consumer()
    table = await asyncio.to_thread(recover, consumer, PARTITION, epoch, lambda: None)
    await asyncio.to_thread(consumer.close)
    recovery = Recovery(table, table.after_recovery(epoch, LOG_EPOCH), 0, 0, state_was_lost=False)
    changelog, writer = changelog_class(producer, table, new_consumer), MembershipWriter(redis, table, lambda _: None)
    publisher = publisher_class(table, changelog, writer, producer)
    await publisher.take_over(recovery)
    reports: list[Progress] = []
    step, ceiling = Step(table, PARTITIONS), DeadLetterCeiling(0)
    with tempfile.TemporaryDirectory() as folder:
        reader = HistoryReader(HistoryAddress.of(folder), PARTITIONS)
        engine = Engine([reader.folder], Path(folder), memory_mb=200, threads=1)
        backfills = Backfills(History(reader, engine, LOG_EPOCH))
        owner = Owner(table, step, changelog, publisher, reports.append, clock, ceiling, backfills)
        running = Running(bootstrap_servers, redis, owner, publisher)
        running.reports, running.history = reports, HistoryAddress.of(folder)
        tasks = running.worker, running.publishing, asyncio.create_task(backfills.run())
        yield running
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        backfills.close()
        engine.close()
    await asyncio.to_thread(producer.stop, PATIENCE_S)
    await redis.aclose()
