"""The writer's answers, with a producer that does what a test says."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from services.api import kafka_writer
from services.api.kafka_writer import KafkaWriter, NotStored, Record

Report = Callable[[KafkaError | None, Any], None]
A_RECORD = Record("events", b"k", b"v" * 10)


class Message:
    """What a report says about a stored message."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self._offset


class Producer:
    """Accepts up to `room` messages; reports on them once `release` is set, with `error`."""

    def __init__(self) -> None:
        self.room = 1_000_000
        self.release = threading.Event()
        self.error: KafkaError | None = None
        self.waiting: list[Report] = []
        self.offset = 0
        self.ended = False

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, report: Report) -> None:
        if len(self.waiting) >= self.room:
            raise BufferError("Local: Queue full")
        self.waiting.append(report)

    def poll(self, timeout_s: float) -> None:
        if self.release.wait(timeout_s / 10):
            self._report(self.error)

    def flush(self, timeout_s: float) -> int:
        self._report(self.error)
        self.ended = True
        return 0

    def purge(self) -> None:
        self._report(KafkaError(KafkaError._PURGE_QUEUE))

    def _report(self, error: KafkaError | None) -> None:
        waiting, self.waiting = self.waiting, []
        for report in waiting:
            self.offset += 1
            report(error, Message(self.offset))


@pytest.fixture
def producers() -> list[Producer]:
    """Every producer that the writer has asked for."""
    return []


@pytest.fixture
async def writer(producers: list[Producer]) -> AsyncIterator[KafkaWriter]:
    def new() -> Any:
        producers.append(Producer())
        return producers[-1]

    made = KafkaWriter(new)
    await made.start()
    yield made
    await made.stop()
    assert producers[-1].ended


async def test_the_answer_comes_after_the_last_acknowledgement(writer: KafkaWriter, producers: list[Producer]) -> None:
    sending = asyncio.create_task(writer.send([A_RECORD] * 3))
    await asyncio.sleep(0)
    assert len(producers[0].waiting) == 3
    assert not sending.done()
    producers[0].release.set()
    assert await sending == {3: 3}


async def test_one_refused_message_refuses_the_whole(writer: KafkaWriter, producers: list[Producer]) -> None:
    producers[0].error = KafkaError(KafkaError._MSG_TIMED_OUT)
    producers[0].release.set()
    with pytest.raises(NotStored, match="timed out"):
        await writer.send([A_RECORD] * 3)


async def test_silence_ends_at_the_time_limit(
    writer: KafkaWriter, producers: list[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_writer, "TIME_LIMIT_S", 0.05)
    with pytest.raises(NotStored, match="in time"):
        await writer.send([A_RECORD])
    producers[0].release.set()  # a late report finds nobody waiting, and the place in the queue is free again
    assert (await writer.send([A_RECORD])) == {3: 2}


@pytest.mark.parametrize(("name", "limit"), [("_MAX_IN_FLIGHT", 4), ("_MAX_IN_FLIGHT_BYTES", 49)])
async def test_a_full_queue_refuses_at_once_and_empties(
    writer: KafkaWriter, producers: list[Producer], monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(kafka_writer, name, limit)
    first = asyncio.create_task(writer.send([A_RECORD] * 3))
    await asyncio.sleep(0)
    with pytest.raises(NotStored, match="full"):
        await writer.send([A_RECORD] * 2)
    producers[0].release.set()
    await first
    assert (await writer.send([A_RECORD] * 2)) == {3: 5}


async def test_a_producer_that_takes_only_some_is_no_success_and_no_leak(
    writer: KafkaWriter, producers: list[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_writer, "_MAX_IN_FLIGHT", 3)
    monkeypatch.setattr(kafka_writer, "_MAX_IN_FLIGHT_BYTES", 30)
    for _ in range(5):
        producers[0].release.clear()
        producers[0].room = 2
        with pytest.raises(NotStored, match="Queue full"):
            await writer.send([A_RECORD] * 3)
        producers[0].room = 3
        producers[0].release.set()
        await writer.send([A_RECORD])  # its report comes after those of the two


async def test_a_producer_that_failed_for_good_is_replaced(writer: KafkaWriter, producers: list[Producer]) -> None:
    producers[0].error = KafkaError(KafkaError.UNKNOWN_PRODUCER_ID, "gone", True)
    producers[0].release.set()
    with pytest.raises(NotStored):
        await writer.send([A_RECORD])
    while len(producers) < 2:
        with pytest.raises(NotStored):
            await writer.send([A_RECORD])
    producers[1].release.set()
    assert (await writer.send([A_RECORD])).keys() == {3}
    assert producers[0].ended
