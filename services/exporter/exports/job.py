"""One export, from its request to its file, through outages. Blocks: for a thread of its own."""

import logging
from contextlib import closing
from typing import NamedTuple

from confluent_kafka import KafkaException
from redis import Redis, RedisError

from services.exporter.exports.attempt import Attempt
from services.exporter.exports.course import Course, ExportFailed
from services.exporter.exports.files import ExportFiles
from services.exporter.exports.formats import text_of_us, write_rows
from services.exporter.exports.later_changes import ChangeLog
from services.exporter.exports.spool import Spool
from services.exporter.settings import ExporterSettings
from shared.contracts.export_request import ExportRequest
from shared.contracts.progress import ExportedFile
from shared.domain.times import SECOND_US
from shared.runtime.address import Address, told
from shared.runtime.clock import Clock
from shared.runtime.crash_points import crash_point

_OUTAGES = (RedisError, KafkaException, OSError)
_PAUSES_S = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 60)
"""Between attempts; after the last one the export has failed."""
_REDIS_TIMEOUT_S = 10

log = logging.getLogger(__name__)


class Made(NamedTuple):
    """A complete export."""

    row_count: int
    file: ExportedFile


class ExportJob:
    """One wished file."""

    def __init__(self, settings: ExporterSettings, request: ExportRequest, clock: Clock) -> None:
        self._settings, self._request, self._clock = settings, request, clock
        self._files = ExportFiles(Address.of(settings.exports))
        self.course = Course(settings.export_wait_s)

    def run(self) -> Made:
        """Make the file. Raises Abandoned, ExportFailed."""
        for pause_s in _PAUSES_S:
            try:
                return self._attempt()
            except _OUTAGES as fault:
                log.warning("export %d is begun anew in %d s: %s", self._request.export_id, pause_s, told(fault))
                self.course.pause(pause_s, f"begun anew after a fault: {_plain(fault)}")
        try:
            return self._attempt()
        except _OUTAGES as fault:
            log.warning("export %d: %s", self._request.export_id, told(fault))
            raise ExportFailed(f"{_plain(fault)}: given up after {len(_PAUSES_S) + 1} attempts") from fault

    def _attempt(self) -> Made:
        settings, course = self._settings, self.course
        course.begin()
        redis = Redis.from_url(
            settings.redis_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
        )
        with redis, closing(ChangeLog(settings.kafka_bootstrap_servers, settings.partitions)) as changes:
            attempt = Attempt(self._request, redis, changes, settings.partitions, self._clock, course)
            with Spool() as spool:
                attempt.gather(spool)
                crash_point("after_export_walk")
                return self._written(attempt, spool)

    def _written(self, attempt: Attempt, spool: Spool) -> Made:
        request, as_of = self._request, attempt.as_of
        about = {"segment_id": str(request.segment_id), "export_id": str(request.export_id), "as_of": text_of_us(as_of)}
        with self._files.new(request) as file:
            rows = write_rows(request.format, file, attempt.rows(spool), about)
        expires_at = self._clock.now_us() + round(self._settings.export_retention_s * SECOND_US)
        name, size, sha256 = file.written
        return Made(rows, ExportedFile(name, size, sha256, as_of_us=as_of, expires_at_us=expires_at))


def _plain(fault: Exception) -> str:
    """For the one who asked; the log has the rest."""
    if isinstance(fault, RedisError):
        return "the membership store does not answer"
    if isinstance(fault, KafkaException):
        return "the log of changes does not answer"
    return f"no file can be written ({getattr(fault, 'strerror', None) or told(fault)})"
