"""The relay: sends what the outbox holds to Kafka, each row at least once, the rows of one key in their order."""

import asyncio
import logging
from collections.abc import Iterator, Sequence

import msgspec

from services.api.database import Database, DatabaseUnavailable
from services.api.kafka_writer import KafkaWriter, NotStored, Record
from services.api.repository.outbox import OutboxRow
from services.api.waiting import woken
from shared.contracts.command import Command, command_key, encode_command
from shared.contracts.export_request import ExportRequest, encode_export_request, export_request_key
from shared.contracts.topics import COMMANDS, EXPORT_REQUESTS
from shared.runtime.metrics import API_OUTBOX_FAILURES, API_OUTBOX_SENT

_BATCH = 100
_SLICE_BYTES = 8 * 1024 * 1024
_POLL_S = 1.0
_FIRST_BACKOFF_S = 0.2
_LAST_BACKOFF_S = 5.0

_log = logging.getLogger(__name__)


class OutboxRelay:
    """Runs in one process at a time (services.api.leadership).

    At its start it sends every segment's last wish again, with the id it had: that repairs a partition of
    `commands` whose last record was overtaken.
    """

    def __init__(self, database: Database, writer: KafkaWriter, partitions: int) -> None:
        self._database, self._writer, self._partitions = database, writer, partitions
        self._wake = asyncio.Event()
        self.fault: str | None = None
        """Why the last round failed, None when it did not."""

    def wake(self) -> None:
        """Rows were stored: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Relay until cancelled; outages of Kafka and PostgreSQL are waited out with back-off."""
        wished_through: int | None = 0
        backoff_s = _FIRST_BACKOFF_S
        while True:
            self._wake.clear()
            try:
                if wished_through is not None:
                    wished_through = await self._repeat_wishes(wished_through)
                    idle = False
                else:
                    idle = await self._send_unsent() < _BATCH
            except (DatabaseUnavailable, NotStored) as outage:
                self.fault = str(outage)
                API_OUTBOX_FAILURES.inc()
                _log.warning("the outbox is tried again in %.1f s: %s", backoff_s, outage)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _LAST_BACKOFF_S)
                continue
            self.fault, backoff_s = None, _FIRST_BACKOFF_S
            if idle:
                await woken(self._wake, _POLL_S)

    async def _repeat_wishes(self, after: int) -> int | None:
        """Send one batch of last wishes with ids above `after`; the highest of them, or None when none is left."""
        async with self._database.begin_for_all() as work:
            rows = await work.outbox.last_wishes(after, _BATCH)
        await self._send(rows)
        return rows[-1].id if rows else None

    async def _send_unsent(self) -> int:
        async with self._database.begin_for_all() as work:
            rows = await work.outbox.unsent(_BATCH)
        if rows:
            await self._send(rows)
            async with self._database.begin_for_all() as work:
                await work.outbox.mark_sent([row.id for row in rows])
        return len(rows)

    async def _send(self, rows: Sequence[OutboxRow]) -> None:
        for records in _slices([record for row in rows for record in self._records(row)]):
            await self._writer.send(records)
        API_OUTBOX_SENT.inc(len(rows))

    def _records(self, row: OutboxRow) -> list[Record]:
        message = {**row.message, "outbox_id": row.id}
        if row.topic == EXPORT_REQUESTS:
            request = msgspec.convert(message, ExportRequest)
            return [Record(EXPORT_REQUESTS, export_request_key(request.export_id), encode_export_request(request))]
        command = msgspec.convert(message, Command)
        key, value = command_key(command.segment_id), encode_command(command)
        # every owner of a partition reads all segments: one copy each
        return [Record(COMMANDS, key, value, partition) for partition in range(self._partitions)]


def _slices(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Parts that the writer's queue holds at once, in order."""
    part: list[Record] = []
    size = 0
    for record in records:
        if part and size + len(record.value) > _SLICE_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.value)
    if part:
        yield part
