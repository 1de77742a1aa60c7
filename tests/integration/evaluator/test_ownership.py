"""Who owns a partition, on real Kafka: the claim, what recovery believes, and how a replaced owner is noticed."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from confluent_kafka import Consumer

from services.evaluator.changelog import ChangelogWriter, Fenced, claim, recover
from services.evaluator.clock_watch import ClockWatch
from services.evaluator.producer import LoopProducer
from services.evaluator.state_records import SCHEMA_VERSION, SegmentRecord, segment_key
from services.evaluator.state_table import StateTable
from shared.contracts.keys import user_key
from shared.contracts.topics import MIB, declare
from shared.runtime.clock import SystemClock
from shared.runtime.kafka import ensure_topics, new_producer

PARTITION = 3
ANN, BOB = user_key(1, "ann"), user_key(1, "bob")
SEGMENT = SegmentRecord(SCHEMA_VERSION, 0, 1, 7, 1, None, None, deleted=False, reconciled=False)


class Worker:
    """Somebody who takes the partition and writes its state."""

    def __init__(self, producer: LoopProducer, bootstrap_servers: str) -> None:
        self._producer, self._bootstrap_servers = producer, bootstrap_servers
        self.table = StateTable(PARTITION)

    async def take(self, name: str) -> "Worker":
        epoch = await claim(self._producer, PARTITION, name, ClockWatch(SystemClock(), 300_000_000))
        consumer = self._new_consumer()
        try:
            self.table = await asyncio.to_thread(recover, consumer, PARTITION, epoch, lambda: None)
        finally:
            await asyncio.to_thread(consumer.close)
        self.table.after_recovery(epoch, "log")
        self._changelog = ChangelogWriter(self._producer, self.table, self._new_consumer)
        return self

    async def write(self, key: bytes, applied_offset: int) -> None:
        """One user's new state, and the partition record, acknowledged."""
        user = self.table.user(key) or self.table.add_user(key, 1, key.decode().split("\0")[1])
        user.state.applied_offset = applied_offset
        self._changelog.put_users([key])
        self.table.record.flushed_through = applied_offset + 1
        await self._changelog.end_flush()

    async def follow(self, segment: SegmentRecord) -> None:
        """What is followed for a segment, and the partition record, acknowledged."""
        self.table.segments[segment.segment_id] = segment
        self._changelog.put_segment(segment)
        await self._changelog.end_flush()

    async def forget(self, key: bytes) -> None:
        """A tombstone, and the partition record, acknowledged."""
        self._changelog.erase([key])
        await self._changelog.end_flush()

    async def repair(self) -> None:
        """Write again what others wrote late, as the next flush of an owner does."""
        self._changelog.put_users(list(self.table.dirty))
        self._changelog.erase(self.table.take_erased())
        await self._changelog.end_flush()

    def _new_consumer(self) -> Consumer:
        settings = {"bootstrap.servers": self._bootstrap_servers, "group.id": "readers", "log_level": 2}
        return Consumer(settings | {"enable.partition.eof": True})

    def applied(self, key: bytes) -> int | None:
        user = self.table.user(key)
        return None if user is None else user.state.applied_offset


@pytest.fixture
async def worker(kafka_bootstrap_servers: str) -> AsyncIterator[Callable[[], Worker]]:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    producer = LoopProducer(new_producer(kafka_bootstrap_servers, MIB))
    yield lambda: Worker(producer, kafka_bootstrap_servers)
    assert await asyncio.to_thread(producer.stop, 10) == 0


async def test_what_an_owner_flushed_its_successor_has(worker: Callable[[], Worker]) -> None:
    first = await worker().take("first")
    await first.write(ANN, 5)
    await first.write(BOB, 7)
    second = await worker().take("second")
    assert second.table.record.epoch > first.table.record.epoch
    assert (second.applied(ANN), second.applied(BOB), second.table.next_offset) == (5, 7, 8)
    assert list(second.table.dirty) == []


async def test_an_owner_that_was_replaced_notices_at_its_next_flush(worker: Callable[[], Worker]) -> None:
    first = await worker().take("first")
    await first.write(ANN, 5)
    await worker().take("second")
    with pytest.raises(Fenced, match="a newer claim than ours"):
        await first.write(ANN, 6)


async def test_the_late_write_of_a_replaced_owner_does_not_count_and_is_written_over(
    worker: Callable[[], Worker],
) -> None:
    first = await worker().take("first")
    await first.write(ANN, 5)
    second = await worker().take("second")
    await second.write(ANN, 9)
    for key in (ANN, BOB):  # queued before it knew: an older state of one user, and one nobody else knows
        with pytest.raises(Fenced):
            await first.write(key, 6)
    third = await worker().take("third")
    assert (third.applied(ANN), third.applied(BOB)) == (9, None)
    assert third.table.record.flushed_through == 10
    assert (list(third.table.dirty), third.table.erased) == ([ANN], [BOB])


async def test_a_segment_taken_over_and_written_again_is_its_new_owners(worker: Callable[[], Worker]) -> None:
    first = await worker().take("first")
    await first.follow(SEGMENT)
    second = await worker().take("second")
    inherited = second.table.segments[SEGMENT.segment_id]
    await second.follow(msgspec.structs.replace(inherited, reconciled=True))
    third = await worker().take("third")
    assert third.table.segments[SEGMENT.segment_id].reconciled
    assert third.table.unwritten == set()


async def test_the_late_segment_of_a_replaced_owner_does_not_count_and_is_written_over(
    worker: Callable[[], Worker],
) -> None:
    first = await worker().take("first")
    await first.follow(SEGMENT)
    await worker().take("second")
    for late in (msgspec.structs.replace(SEGMENT, outbox_id=9), msgspec.structs.replace(SEGMENT, segment_id=8)):
        with pytest.raises(Fenced):
            await first.follow(late)
    third = await worker().take("third")
    assert {s.segment_id: s.outbox_id for s in third.table.segments.values()} == {7: 1}
    assert third.table.unwritten == {7}
    assert third.table.erased == [segment_key(8)]


async def test_what_a_replaced_owner_writes_late_is_written_over_by_its_successor(
    worker: Callable[[], Worker],
) -> None:
    first = await worker().take("first")
    second = await worker().take("second")
    await second.write(ANN, 9)
    for key in (ANN, BOB):
        with pytest.raises(Fenced):
            await first.write(key, 5)
    with pytest.raises(Fenced):
        await first.forget(ANN)
    await second.write(b"1\0cyd", 10)
    assert (list(second.table.dirty), second.table.erased) == ([ANN], [BOB])
    await second.repair()
    third = await worker().take("third")
    assert (third.applied(ANN), third.applied(BOB), third.applied(b"1\0cyd")) == (9, None, 10)
    assert (list(third.table.dirty), third.table.erased) == ([], [])


async def test_who_became_known_again_is_not_erased(worker: Callable[[], Worker]) -> None:
    first = await worker().take("first")
    first.table.erased = [ANN, BOB]
    await first.write(ANN, 3)
    await first.repair()
    assert (await worker().take("second")).applied(ANN) == 3
