"""Reads `export-requests` as a member of a group; each partition's requests are answered by a lane of their own.

The loop goes on polling meanwhile, so the group keeps it for alive. What was not committed is answered by whoever has
the partition next: answers repeat, and their reader drops repeats by (kind, id, outbox_id, partition, status).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from services.exporter.delivery import Delivery, NotDelivered
from services.exporter.exports.course import Abandoned
from services.exporter.exports.job import ExportJob
from services.exporter.lane import Lane
from services.exporter.requests import Outgoing
from services.exporter.settings import ExporterSettings
from shared.contracts.export_request import ExportRequest
from shared.contracts.topics import EXPORT_REQUESTS
from shared.runtime.clock import Clock
from shared.runtime.kafka import KafkaUnavailable

GROUP = "shoal-exporter"

_POLL_MS = 500
_COMMIT_TIMEOUT_S = 5
_CLOSE_TIMEOUT_S = 5
_LANES_END_S = 12
_PROBE_EVERY_S = 2
_PROBE_TIMEOUT_S = 3
_RETRY_AFTER_S = 1

log = logging.getLogger(__name__)


class RequestLoop(ConsumerRebalanceListener):  # type: ignore[misc] # no type information published
    """`parts`: what /readyz says of it."""

    def __init__(self, settings: ExporterSettings, delivery: Delivery, clock: Clock) -> None:
        self._settings, self._delivery, self._clock = settings, delivery, clock
        self._slots = asyncio.Semaphore(settings.exports_at_once)
        self._lanes: dict[TopicPartition, tuple[Lane, asyncio.Task[None]]] = {}
        self._stop = asyncio.Event()
        self.parts: dict[str, str | None] = {
            "kafka": "not connected yet",
            "assignment": "not joined yet",
            "delivery": None,
        }

    async def run(self, stop: asyncio.Event, beat: Callable[[], None]) -> None:
        """Answer until `stop` is set. Raises KafkaUnavailable: no broker answered at start."""
        self._stop = stop
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
        try:
            await _start(consumer)
            log.info("reading %s", EXPORT_REQUESTS)
            probe = asyncio.create_task(self._probe(consumer), name="kafka probe")
            await self._answer_all(consumer, beat)
        finally:
            if probe is not None:
                probe.cancel()
                await asyncio.gather(probe, return_exceptions=True)
            await self._abandon(list(self._lanes))
            await _close(consumer)

    async def _answer_all(self, consumer: AIOKafkaConsumer, beat: Callable[[], None]) -> None:
        while not self._stop.is_set():
            beat()
            self._reap(consumer)
            fetched = await consumer.getmany(timeout_ms=_POLL_MS)
            for place, records in fetched.items():
                consumer.pause(place)
                lane = Lane(self._job, self._deliver, self._slots)
                answering = asyncio.create_task(lane.run(records, partial(_commit, consumer, place)))
                self._lanes[place] = lane, answering

    def _reap(self, consumer: AIOKafkaConsumer) -> None:
        """Read on where all is answered. Raises what a lane raised."""
        for place, (_, answering) in list(self._lanes.items()):
            if answering.done():
                del self._lanes[place]
                answering.result()
                if place in consumer.assignment():
                    consumer.resume(place)

    async def _abandon(self, places: Sequence[TopicPartition]) -> None:
        ending = [self._lanes.pop(place) for place in places if place in self._lanes]
        for lane, _ in ending:
            lane.abandon()
        ended, _ = (
            await asyncio.wait([answering for _, answering in ending], timeout=_LANES_END_S) if ending else ((), 0)
        )
        for answering in ended:
            if (fault := answering.exception()) is not None:
                log.error("the requests of a partition that is given up", exc_info=fault)

    def _job(self, request: ExportRequest) -> ExportJob:
        return ExportJob(self._settings, request, self._clock)

    async def _deliver(self, message: Outgoing) -> None:
        """Try until Kafka has acknowledged it. Raises Abandoned when told to stop before that."""
        while not self._stop.is_set():
            try:
                await self._delivery.send([message])
            except NotDelivered as fault:
                self.parts["delivery"] = str(fault)
                log.warning("a message to %s is not delivered, trying again: %s", message.topic, fault)
                await _pause(self._stop, _RETRY_AFTER_S)
            else:
                self.parts["delivery"] = None
                return
        raise Abandoned

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        """Keep the part `kafka` true: ask a broker for its topics now and then."""
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    await consumer.topics()
                self.parts["kafka"] = None
            except (KafkaError, TimeoutError):
                self.parts["kafka"] = f"no answer within {_PROBE_TIMEOUT_S} s"
            await _pause(self._stop, _PROBE_EVERY_S)

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """What was not committed is answered by the next owner."""
        if revoked:
            self.parts["assignment"] = "the group is changing"
            await self._abandon(revoked)

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """A group larger than the topic leaves some members without partitions, and that is fine."""
        log.info("partitions of %s: %s", EXPORT_REQUESTS, sorted(tp.partition for tp in assigned))
        self.parts["assignment"] = None


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


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
