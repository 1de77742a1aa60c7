"""The requests of one partition, one after the other: file -> final report -> acknowledged -> commit."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from services.exporter.background import in_thread
from services.exporter.exports.course import Abandoned, Course, ExportFailed
from services.exporter.exports.job import ExportJob, Made
from services.exporter.requests import NoRequest, Outgoing, Record, dead_letter, read_request, report
from shared.contracts.export_request import ExportRequest
from shared.runtime import metrics
from shared.runtime.crash_points import crash_point

_TELL_EVERY_S = 1.0
_ENDING_S = 10
_OUR_FAULT = "a fault of the exporter, whose log has the details; ask again, or tell who runs it"

Deliver = Callable[[Outgoing], Awaitable[None]]
"""Returns when Kafka has acknowledged the message. Raises Abandoned when told to stop before that."""

log = logging.getLogger(__name__)


class Lane:
    """Answers requests in their order."""

    def __init__(
        self, new_job: Callable[[ExportRequest], ExportJob], deliver: Deliver, slots: asyncio.Semaphore
    ) -> None:
        """`slots`: for files made at once by this process."""
        self._new_job, self._deliver, self._slots = new_job, deliver, slots
        self._job: ExportJob | None = None
        self._abandoned = False

    def abandon(self) -> None:
        """Let what is under way end soon: its request is left for whoever has the partition next."""
        self._abandoned = True
        if self._job is not None:
            self._job.course.abandon()

    async def run(self, records: Sequence[Record], commit: Callable[[int], Awaitable[None]]) -> None:
        """Answer all; `commit` gets the next offset after each. Returns early when told to stop."""
        try:
            for record in records:
                await self._answer(record)
                crash_point("after_export_report")
                await commit(record.offset + 1)
        except Abandoned:
            log.info("an export request is left for whoever takes it next")

    async def _answer(self, record: Record) -> None:
        try:
            request = read_request(record)
        except NoRequest as reason:
            await self._deliver(dead_letter(record, reason))
            metrics.DEAD_LETTERS.labels(record.topic).inc()
            return
        async with self._slots:
            began_s = time.monotonic()
            try:
                made = await self._made(request)
            except ExportFailed as reason:
                log.warning("export %d has failed: %s", request.export_id, reason)
                status, final = "failed", report(request, "failed", error=str(reason))
            else:
                status, final = "complete", report(request, "complete", row_count=made.row_count, file=made.file)
                metrics.EXPORTED_ROWS.inc(made.row_count)
                metrics.EXPORT_SECONDS.observe(time.monotonic() - began_s)
        await self._deliver(final)
        metrics.EXPORT_REQUESTS.labels(status).inc()

    async def _made(self, request: ExportRequest) -> Made:
        """Make the file, and tell meanwhile how far it is. Raises Abandoned, ExportFailed."""
        job = self._job = self._new_job(request)
        if self._abandoned:
            job.course.abandon()
        making = in_thread(f"export {request.export_id}", job.run)
        await self._follow(request, job.course, making)
        self._job = None
        try:
            return making.result()
        except (Abandoned, ExportFailed):
            raise
        except Exception as defect:
            log.exception("export %d", request.export_id)
            raise ExportFailed(_OUR_FAULT) from defect

    async def _follow(self, request: ExportRequest, course: Course, making: "asyncio.Future[Made]") -> None:
        told = None
        try:
            while not making.done():
                if told != (now := (course.row_count, course.detail)):
                    told = now
                    await self._deliver(report(request, "running", row_count=now[0], detail=now[1]))
                await asyncio.wait([making], timeout=_TELL_EVERY_S)
        except BaseException:
            course.abandon()
            ended, _ = await asyncio.wait([making], timeout=_ENDING_S)
            for end in ended:
                end.exception()  # that it was abandoned is news to nobody
            raise
