"""Kafka's producer for the event loop: messages in order per partition, acknowledgements awaited in groups."""

import asyncio
import threading
from collections.abc import Sequence

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Message, Producer

_POLL_S = 0.1
Headers = Sequence[tuple[str, bytes]]


class DeliveryFailed(Exception):  # noqa: N818 - it names the thing
    """Stop: the broker did not take a message within the producer's time; what it was part of is not durable."""


class DeliveryGroup:
    """Some messages whose acknowledgements are awaited together.

    `add` and `seal` are called by the event loop's thread, `report` by the producer's; each counts for itself.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[int] = self._loop.create_future()
        self._added = self._reported = 0
        self._sealed = False
        self._last_offset = -1
        self.appended_ms: int | None = None
        """When the broker appended the last message, where it stamps them; set when the group is done."""

    def add(self) -> "DeliveryGroup":
        """One more message."""
        self._added += 1
        return self

    def seal(self) -> asyncio.Future[int]:
        """No more messages follow: the offset of the last one acknowledged, when all are. Raises DeliveryFailed."""
        self._sealed = True
        if self._reported == self._added:
            self._settle()
        return self._done

    def report(self, error: KafkaError | None, message: Message) -> None:
        """The producer's delivery report."""
        if error is not None:
            self._loop.call_soon_threadsafe(self._fail, f"{message.topic()}: {error.str()}")
            return
        self._last_offset = message.offset() or 0
        kind, stamp_ms = message.timestamp()
        self.appended_ms = stamp_ms if kind == TIMESTAMP_LOG_APPEND_TIME else None
        self._reported += 1
        if self._sealed and self._reported == self._added:
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self._done.done():
            self._done.set_result(self._last_offset)

    def _fail(self, reason: str) -> None:
        if not self._done.done():
            self._done.set_exception(DeliveryFailed(reason))


class LoopProducer:
    """A confluent producer polled by a thread of its own."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer", daemon=True)
        self._thread.start()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int = -1,
        headers: Headers = (),
        group: DeliveryGroup | None = None,
    ) -> None:
        """Queue one message; `partition` -1 lets the key decide. Raises DeliveryFailed when it cannot be queued."""
        report = None if group is None else group.add().report
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition=partition, on_delivery=report, headers=list(headers) or None
                )
            except BufferError:  # a million messages wait for the broker: so must we
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                raise DeliveryFailed(f"{topic}: {error.args[0].str()}") from error
            else:
                return

    def send_all(self, topic: str, partition: int, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Queue keys and values for one partition, without reports: the quick way for many. Raises DeliveryFailed."""
        produce = self._producer.produce
        for key, value in messages:
            try:
                produce(topic, value, key, partition)
            except (BufferError, KafkaException):
                self.send(topic, key, value, partition=partition)  # waits, or says what is wrong

    def flush(self, within_s: float) -> int:
        """Send what is queued, for so long at most; the number of messages left. Blocks."""
        return int(self._producer.flush(within_s))

    def stop(self, within_s: float) -> int:
        """`flush`, then end the thread."""
        left = self.flush(within_s)
        self._stopped.set()
        self._thread.join()
        return left

    def _poll(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(_POLL_S)
