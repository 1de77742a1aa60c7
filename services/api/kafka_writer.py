"""Writing to Kafka with an answer: done when the broker has acknowledged every message, or known not to be."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from shared.runtime.metrics import API_KAFKA_REFUSED

TIME_LIMIT_S = 4.0
"""Of one `send`, whatever the client library does."""
DELIVERY_TIMEOUT_MS = 3000
"""After this librdkafka gives a message up, so that nearly always the outcome is known within the time limit."""
_MAX_IN_FLIGHT = 100_000
_MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
_POLL_S = 0.1
_FLUSH_S = 5.0
_PING_S = 1.0

_log = logging.getLogger(__name__)


class NotStored(Exception):  # noqa: N818 - it names the thing
    """Retry: the messages are not known to be stored. Some may be."""


class Record(NamedTuple):
    """One message to write; without a partition the key decides."""

    topic: str
    key: bytes
    value: bytes
    partition: int = -1


Offsets = dict[int, int]
"""By partition, the offset of the last message of a `send`."""


class _Pending:
    """The messages of one `send` that are under way; touched in the event loop only."""

    __slots__ = ("answer", "error", "left", "offsets", "size")

    def __init__(self, answer: "asyncio.Future[Offsets]", left: int, size: int) -> None:
        self.answer, self.left, self.size = answer, left, size
        self.error: KafkaError | None = None
        self.offsets: Offsets = {}


class KafkaWriter:
    """A producer for asyncio: one thread polls it and hands all reports of a poll to the loop at once."""

    def __init__(self, new_producer: Callable[[], Producer]) -> None:
        """`new_producer` is called at the start, and again if the producer breaks for good."""
        self._new_producer = new_producer
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._broken = threading.Event()
        self._reports: list[tuple[_Pending, KafkaError | None, Message]] = []
        self._in_flight = self._in_flight_bytes = 0

    async def start(self) -> None:
        """Connect, in the background, and begin to poll."""
        self._loop = asyncio.get_running_loop()
        self._producer = await asyncio.to_thread(self._new_producer)
        self._thread = threading.Thread(target=self._poll, name="kafka-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Write what is under way, up to some seconds, and end; does nothing when not started."""
        if self._thread is None or self._producer is None:
            return
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)
        left = await asyncio.to_thread(self._producer.flush, _FLUSH_S)
        self._settle(self._reports)
        if left:
            _log.error("%d messages were not written before the end", left)
        self._producer = self._thread = None

    async def ping(self) -> None:
        """Raises NotStored unless a broker answers within a second."""
        producer = self._producer
        if producer is None:
            raise NotStored("the producer is not running")
        try:
            await asyncio.to_thread(producer.list_topics, timeout=_PING_S)
        except KafkaException as error:
            raise NotStored(error.args[0].str()) from error

    async def send(self, records: Sequence[Record]) -> Offsets:
        """Write the messages of one topic; returns where they are when the broker has acknowledged all.

        Raises NotStored when it refuses one, when the queue is full, and after `TIME_LIMIT_S`.
        """
        size = sum(len(record.value) for record in records)
        if self._in_flight + len(records) > _MAX_IN_FLIGHT or self._in_flight_bytes + size > _MAX_IN_FLIGHT_BYTES:
            API_KAFKA_REFUSED.labels(reason="queue full").inc()
            raise NotStored("the queue is full")
        answer: asyncio.Future[Offsets] = asyncio.get_running_loop().create_future()
        self._produce(_Pending(answer, len(records), size), records)
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                return await answer
        except TimeoutError:
            API_KAFKA_REFUSED.labels(reason="time limit").inc()
            raise NotStored("the broker did not acknowledge in time") from None

    def _produce(self, pending: _Pending, records: Sequence[Record]) -> None:
        producer = self._producer
        if producer is None:
            raise NotStored("the producer is not running")

        def reported(error: KafkaError | None, message: Message) -> None:
            self._reports.append((pending, error, message))

        done = 0
        try:
            for topic, key, value, partition in records:
                producer.produce(topic, value, key, partition, reported)
                done += 1
        except (BufferError, KafkaException) as error:
            self._look_at(error.args[0] if isinstance(error, KafkaException) else None)
            API_KAFKA_REFUSED.labels(reason="not accepted").inc()
            pending.left -= len(records) - done
            pending.size = 0
            raise NotStored(str(error)) from error
        finally:
            self._in_flight += done
            if done == len(records):
                self._in_flight_bytes += pending.size

    def _poll(self) -> None:
        while not self._stopping.is_set():
            producer = self._producer
            if producer is None:
                return
            if self._broken.is_set():
                self._replace(producer)
                continue
            producer.poll(_POLL_S)
            if self._reports:
                # reports are appended by poll only, so by this thread
                reports, self._reports = self._reports, []
                self._loop.call_soon_threadsafe(self._settle, reports)

    def _replace(self, producer: Producer) -> None:
        """A producer with a fatal error never writes again: end it and take a new one."""
        _log.error("the producer failed for good and is replaced")
        self._broken.clear()
        self._producer = self._new_producer()
        producer.purge()
        producer.flush(_FLUSH_S)

    def _settle(self, reports: list[tuple[_Pending, KafkaError | None, Message]]) -> None:
        for pending, error, message in reports:
            self._in_flight -= 1
            pending.left -= 1
            if error is not None:
                pending.error = error
            else:
                pending.offsets[message.partition() or 0] = message.offset() or 0
            if pending.left:
                continue
            self._in_flight_bytes -= pending.size
            if pending.answer.done():
                continue
            if pending.error is None:
                pending.answer.set_result(pending.offsets)
            else:
                self._look_at(pending.error)
                API_KAFKA_REFUSED.labels(reason="not acknowledged").inc()
                pending.answer.set_exception(NotStored(pending.error.str()))

    def _look_at(self, error: Any) -> None:
        if isinstance(error, KafkaError) and error.fatal():
            self._broken.set()
