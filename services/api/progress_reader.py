"""Reading the topic `progress`: what evaluator and exporter report is written to PostgreSQL, once."""

import asyncio
import logging
from collections.abc import Callable

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.api.database import Database, DatabaseUnavailable
from services.api.use_cases import compute, exports
from shared.contracts.progress import Progress, decode_progress
from shared.contracts.topics import PROGRESS, SIDE_PARTITIONS
from shared.runtime.metrics import API_PROGRESS_REPORTS

_GROUP = "shoal-api-progress"
_POLL_MS = 1000
_RETRY_MS = 500
_FIRST_BACKOFF_S = 0.2
_LAST_BACKOFF_S = 5.0

_log = logging.getLogger(__name__)


class ProgressReader:
    """Runs in one process at a time (services.api.leadership); offsets are committed after the transaction."""

    def __init__(
        self, database: Database, bootstrap_servers: str, partitions: int, changed: Callable[[int], None]
    ) -> None:
        """`partitions` of `events` must report; `changed` is told the tenant whose segments have switched."""
        self._database, self._bootstrap_servers = database, bootstrap_servers
        self._partitions, self._changed = partitions, changed
        self.fault: str | None = None
        """Why reading stands still, None while it does not."""

    async def run(self) -> None:
        """Read until cancelled; outages of Kafka and PostgreSQL are waited out with back-off."""
        backoff_s = _FIRST_BACKOFF_S
        while True:
            started_s = asyncio.get_running_loop().time()
            try:
                await self._read()
            except KafkaError as outage:
                self.fault = f"Kafka: {outage}"
                _log.warning("progress is read again in %.1f s: %s", backoff_s, outage)
            await asyncio.sleep(backoff_s)
            lasted = asyncio.get_running_loop().time() - started_s > 2 * _LAST_BACKOFF_S
            backoff_s = _FIRST_BACKOFF_S if lasted else min(2 * backoff_s, _LAST_BACKOFF_S)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=_GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            # of its log lines in an outage, too
            retry_backoff_ms=_RETRY_MS,
        )
        # assigned, not subscribed: the advisory lock chooses the reader, and nothing waits for a group to form
        consumer.assign([TopicPartition(PROGRESS, partition) for partition in range(SIDE_PARTITIONS)])
        try:
            await consumer.start()
            self.fault = None
            while True:
                batch = await consumer.getmany(timeout_ms=_POLL_MS)
                for records in batch.values():
                    for record in records:
                        await self._apply_until_stored(record)
                if batch:
                    await consumer.commit({tp: records[-1].offset + 1 for tp, records in batch.items()})
        finally:
            await consumer.stop()

    async def _apply_until_stored(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        try:
            report = decode_progress(record.value or b"")
        except msgspec.MsgspecError as error:
            API_PROGRESS_REPORTS.labels(kind="invalid").inc()
            _log.error("%s-%d@%d is no report: %s", record.topic, record.partition, record.offset, error)
            return
        API_PROGRESS_REPORTS.labels(kind=report.kind).inc()
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                await self._apply(report)
            except DatabaseUnavailable as outage:
                self.fault = f"PostgreSQL: {outage}"
                _log.warning("a report is tried again in %.1f s: %s", backoff_s, outage)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _LAST_BACKOFF_S)
            else:
                self.fault = None
                return

    async def _apply(self, report: Progress) -> None:
        async with self._database.begin_for_all() as work:
            if report.kind == "export":
                await exports.apply_report(work, report)
                return
            tenant = await compute.apply_report(work, report, self._partitions)
        if tenant is not None:
            self._changed(tenant)
