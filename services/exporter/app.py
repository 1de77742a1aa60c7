"""The exporter: archives events, reads export requests, answers each on `progress`, and says how it is.

The archivers and the upkeep of the history are threads (`services/exporter/archiver.py`); the rest is about requests.
Order of a batch: read -> answer -> acknowledged by Kafka -> commit. A crash before the commit repeats answers, which
their reader drops by (kind, id, outbox_id, partition, status).
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from confluent_kafka import Producer

from services.exporter import archives
from services.exporter.archiver import Archiver
from services.exporter.background import Background
from services.exporter.delivery import DELIVERY_TIMEOUT_MS, Delivery, NotDelivered
from services.exporter.requests import Record, answer
from services.exporter.settings import ExporterSettings
from services.exporter.upkeep_loop import UpkeepLoop
from shared.contracts.topics import DEAD_LETTERS, DEAD_LETTERS_MAX_BYTES, EXPORT_REQUESTS, PROGRESS, declare
from shared.runtime import metrics
from shared.runtime.health import HealthServer
from shared.runtime.kafka import KafkaUnavailable, ensure_topics, new_producer
from shared.runtime.process import Watchdog

GROUP = "shoal-exporter"

_POLL_MS = 500
_COMMIT_TIMEOUT_S = 5
_CLOSE_TIMEOUT_S = 5
_PROBE_EVERY_S = 2
_PROBE_TIMEOUT_S = 3
_RETRY_AFTER_S = 1
_LOOP = "the loop over export requests"
_ARCHIVER, _CHANGE_ARCHIVER = "the archiver of events", "the archiver of changes"
_STORAGE_PATIENCE_S = 120
"""An archiver waits for storage, whose own limits end a wait well before."""

log = logging.getLogger(__name__)


class Exporter(ConsumerRebalanceListener):  # type: ignore[misc] # no type information published
    """One exporter process; `run` is its life."""

    def __init__(self, settings: ExporterSettings, delivery: Delivery, watchdog: Watchdog) -> None:
        self._settings, self._delivery, self._watchdog = settings, delivery, watchdog
        self._parts: dict[str, str | None] = {
            "kafka": "not connected yet",
            "assignment": "not joined yet",
            "delivery": None,
        }
        self._archiver = Archiver(archives.events(settings), settings, lambda: watchdog.beat(_ARCHIVER))
        self._change_archiver = Archiver(archives.changes(settings), settings, lambda: watchdog.beat(_CHANGE_ARCHIVER))
        self._upkeep = UpkeepLoop(settings, lambda: self._archiver.owns_first)
        self.health = HealthServer(settings.host, settings.port, self._state, metrics.EXPORTER)

    def _state(self) -> dict[str, str | None]:
        return self._parts | {"history": self._archiver.fault, "changes": self._change_archiver.fault}

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises:
            CannotListen: the health address cannot be bound.
            WrongTopic: a topic differs from what is declared.
            KafkaUnavailable: no broker answered at start.
        """
        await self.health.start()
        try:
            servers, partitions = self._settings.kafka_bootstrap_servers, self._settings.partitions
            await asyncio.to_thread(ensure_topics, servers, declare(partitions), self._settings.replication_factor)
            await self._work(stop)
        finally:
            await self.health.stop()

    async def _work(self, stop: asyncio.Event) -> None:
        """Archive and answer; a defect of either ends both."""
        background = Background(stop.set)
        for part in (_ARCHIVER, _CHANGE_ARCHIVER):
            self._watchdog.arm(part, max(self._settings.standstill_s, _STORAGE_PATIENCE_S))
        background.start("archiver", self._archiver.run)
        background.start("change archiver", self._change_archiver.run)
        background.start("upkeep", self._upkeep.run)
        try:
            await self._consume(stop)
        finally:
            self._upkeep.stop()
            await background.stop()

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=round(self._settings.session_timeout_s * 1000),
            heartbeat_interval_ms=round(self._settings.session_timeout_s * 300),
        )
        consumer.subscribe([EXPORT_REQUESTS], listener=self)
        probe = None
        self._watchdog.arm(_LOOP)
        self._watchdog.start()
        try:
            await _start(consumer)
            log.info("reading %s", EXPORT_REQUESTS)
            probe = asyncio.create_task(self._probe(consumer, stop), name="kafka probe")
            await self._answer_all(consumer, stop)
        finally:
            self._watchdog.stop()
            if probe is not None:
                probe.cancel()
                await asyncio.gather(probe, return_exceptions=True)
            await _close(consumer)

    async def _answer_all(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._watchdog.beat(_LOOP)
            fetched = await consumer.getmany(timeout_ms=_POLL_MS)
            for partition, records in fetched.items():
                if not await self._deliver(records, stop):
                    return
                await _commit(consumer, partition, next_offset=records[-1].offset + 1)

    async def _deliver(self, records: Sequence[Record], stop: asyncio.Event) -> bool:
        """Answer all, trying until Kafka has acknowledged. False: told to stop before that."""
        answers = [answer(record) for record in records]
        while not stop.is_set():
            self._watchdog.beat(_LOOP)
            try:
                await self._delivery.send(answers)
            except NotDelivered as fault:
                self._parts["delivery"] = str(fault)
                log.warning("answers to %d export requests not delivered, trying again: %s", len(answers), fault)
                await _pause(stop, _RETRY_AFTER_S)
            else:
                self._parts["delivery"] = None
                _count([given.topic for given in answers])
                return True
        return False

    async def _probe(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        """Keep the part `kafka` true: ask a broker for its topics now and then."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    await consumer.topics()
                self._parts["kafka"] = None
            except (KafkaError, TimeoutError):
                self._parts["kafka"] = f"no answer within {_PROBE_TIMEOUT_S} s"
            await _pause(stop, _PROBE_EVERY_S)

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Nothing is kept of a partition: what was not committed is answered by its next owner."""
        if revoked:
            self._parts["assignment"] = "the group is changing"

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """A group larger than the topic leaves some members without partitions, and that is fine."""
        log.info("partitions of %s: %s", EXPORT_REQUESTS, sorted(tp.partition for tp in assigned))
        self._parts["assignment"] = None


def create_app(settings: ExporterSettings) -> Exporter:
    """Wire an exporter; nothing is connected before its `run`."""

    def producer() -> Producer:
        return new_producer(settings.kafka_bootstrap_servers, DEAD_LETTERS_MAX_BYTES, DELIVERY_TIMEOUT_MS)

    return Exporter(settings, Delivery(producer), Watchdog(settings.standstill_s, "exporter"))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _count(topics: list[str]) -> None:
    metrics.EXPORT_REQUESTS.labels("failed").inc(topics.count(PROGRESS))
    if dead := topics.count(DEAD_LETTERS):
        metrics.DEAD_LETTERS.labels(EXPORT_REQUESTS).inc(dead)


async def _start(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.start()
    except KafkaError as error:
        raise KafkaUnavailable(f"cannot read {EXPORT_REQUESTS}: {error}") from error


async def _commit(consumer: AIOKafkaConsumer, partition: TopicPartition, next_offset: int) -> None:
    """Commit, or leave it: a later commit covers this one, and a replay only repeats answers."""
    try:
        async with asyncio.timeout(_COMMIT_TIMEOUT_S):
            await consumer.commit({partition: next_offset})
    except (CommitFailedError, IllegalStateError) as error:
        log.warning("%s has another owner, who answers again from the last commit: %s", partition, error)
    except (KafkaError, TimeoutError) as error:
        log.warning("%s is not committed up to %d: %r", partition, next_offset, error)


async def _close(consumer: AIOKafkaConsumer) -> None:
    """Leave the group, so that another member takes over at once; give up when no broker answers."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await consumer.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("the group was not left in order: %r", error)
