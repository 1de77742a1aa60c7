"""Archives a topic: read -> mark -> data files -> commit of the table. A thread, because all of it blocks.

The table's own numbers say where each partition is read from. Whatever goes wrong has one answer: what was read and
is no history yet is forgotten, and read again from there.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic

from confluent_kafka import KafkaException, Message

from services.exporter.archives import Archive, Unarchivable
from services.exporter.reading import Reading
from services.exporter.settings import ExporterSettings
from services.exporter.topic_log import TopicLog
from shared.history.errors import HistoryUnavailable
from shared.history.private_index import MarkT, RowT
from shared.history.writer import Moved, TableWriter
from shared.runtime import metrics

ROWS_AT_ONCE = 50_000
"""So many rows are written without waiting for the interval."""
BYTES_AT_ONCE = 32 << 20
"""And so many bytes of messages."""

_POLL_S = 0.2
_POLLS = 5
"""Within an interval, at least: a poll lasts its time, however soon its first message comes."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 10

log = logging.getLogger(__name__)


class Archiver(Generic[RowT, MarkT]):
    """One archiver; several, in one process or many, share the partitions."""

    def __init__(self, archive: Archive[RowT, MarkT], settings: ExporterSettings, beat: Callable[[], None]) -> None:
        """Connects to nothing yet. `beat` is called at least every few seconds while all is well."""
        self._archive, self._settings, self._beat = archive, settings, beat
        self._readings: dict[int, Reading[RowT, MarkT]] = {}
        self._is_reading = False
        self._log_epoch = ""
        self._began = 0.0
        self._retry_at, self._retry_s = 0.0, _FIRST_RETRY_S
        self.fault: str | None = "not begun yet"
        """Why nothing is archived; None: all is well."""

    @property
    def owns_first(self) -> bool:
        """Whether this one of all archivers has the first partition."""
        return self._is_reading and 0 in self._readings

    def run(self, stop: threading.Event) -> None:
        """Archive until told to stop, and then what was read."""
        settings, archive = self._settings, self._archive
        self._log = TopicLog(settings.kafka_bootstrap_servers, archive.topic, archive.group, settings.session_timeout_s)
        try:
            while not stop.is_set():
                self._beat()
                self._attempt(self._turn)
            self._attempt(self._flush)
        finally:
            self._log.close()
            for reading in self._readings.values():
                reading.close()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Moved as moved:
            log.info("%s", moved)
            for partition in moved.partitions:
                self._readings.pop(partition).close()
            self._pause(0)
        except (HistoryUnavailable, Unarchivable, KafkaException) as fault:
            metrics.ARCHIVE_FAILURES.labels(self._archive.name).inc()
            log.warning("%s not archived, trying again in %.1f s: %s", self._archive.name, self._retry_s, fault)
            self.fault = str(fault)
            self._pause(self._retry_s)
            self._retry_s = min(self._retry_s * 2, _LAST_RETRY_S)

    def _pause(self, seconds: float) -> None:
        """Forget what is not history, and begin again after so long."""
        for reading in self._readings.values():
            reading.undo()
        self._log.read_from({})
        self._is_reading = False
        self._retry_at = time.monotonic() + seconds

    def _turn(self) -> None:
        messages = self._log.poll(min(_POLL_S, self._archive.interval_s / _POLLS))
        if messages is None:
            self._pause(0)
            if not self._log.owned:
                self.fault = None  # a group larger than the topic leaves some members without partitions
        elif not self._is_reading:
            if time.monotonic() >= self._retry_at and self._log.owned:
                self._begin()
        else:
            self._take(messages)
            if self._is_due():
                self._flush()

    def _begin(self) -> None:
        """Read every partition owned from where the table is."""
        if (log_epoch := self._log.log_epoch()) != self._log_epoch:
            self._drop(set(self._readings))
            self._log_epoch = log_epoch
            self._writer: TableWriter[RowT, MarkT] = self._archive.writer(log_epoch)
        self._drop(self._readings.keys() - self._log.owned)
        if new := self._log.owned - self._readings.keys():
            for partition, taken in self._writer.take(new, self._beat).items():
                archived = None if taken.position is None else taken.position.next_offset
                first = self._first(partition, archived)
                self._readings[partition] = Reading(self._archive.row_of, taken, first)
        self._log.read_from({partition: reading.next_offset for partition, reading in self._readings.items()})
        self._is_reading = True
        self._began = time.monotonic()  # if nothing comes, it is known after the interval that all is well

    def _first(self, partition: int, archived: int | None) -> int:
        """The first offset to read. Raises Unarchivable."""
        start, end = self._log.ends(partition)
        name, topic = self._archive.name, self._archive.topic
        if archived is None or start <= archived <= end:
            return start if archived is None else archived
        if archived > end:
            raise Unarchivable(
                f"partition {partition} of {topic} is archived up to offset {archived} and ends at {end}: this is not "
                "the log that was archived, or it was cut; name another folder or bucket for the history of this one"
            )
        if not self._settings.accept_lost_events:
            raise Unarchivable(
                f"{name} from offset {archived} of partition {partition} are to be archived and the log begins at "
                f"{start}: they are lost; SHOAL_EXPORTER_ACCEPT_LOST_EVENTS=true goes on without them"
            )
        log.warning("partition %d: %s [%d, %d) are lost to the history", partition, name, archived, start)
        return start

    def _drop(self, partitions: set[int]) -> None:
        for partition in partitions:
            self._readings.pop(partition).close()

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            reading = self._readings.get(message.partition() or 0)
            if reading is not None:
                reading.take(message)
        if not self._began and any(reading.is_ahead for reading in self._readings.values()):
            self._began = time.monotonic()
        known = ((self._log.known_end(partition), reading) for partition, reading in self._readings.items())
        metrics.ARCHIVE_LAG.labels(self._archive.name).set(
            sum(max(end - reading.next_offset, 0) + reading.rows for end, reading in known)
        )

    def _is_due(self) -> bool:
        readings = self._readings.values()
        if self._began and time.monotonic() >= self._began + self._archive.interval_s:
            return True
        return sum(r.rows for r in readings) >= ROWS_AT_ONCE or sum(r.size for r in readings) >= BYTES_AT_ONCE

    def _flush(self) -> None:
        ahead = {partition: reading for partition, reading in self._readings.items() if reading.is_ahead}
        if ahead:
            began = time.monotonic()
            rows = self._writer.append({partition: reading.stretch() for partition, reading in ahead.items()})
            metrics.ARCHIVE_COMMIT_SECONDS.labels(self._archive.name).observe(time.monotonic() - began)
            metrics.ARCHIVED_ROWS.labels(self._archive.name).inc(rows)
            for reading in ahead.values():
                reading.keep()
            self._log.commit({partition: reading.next_offset for partition, reading in ahead.items()})
        self._began = 0.0
        self.fault, self._retry_s = None, _FIRST_RETRY_S
