"""Export requests: stored, handed to the exporter, and their status."""

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.repository.exports import ExportRow
from services.api.use_cases.segments import find
from shared.contracts.progress import Progress
from shared.contracts.topics import EXPORT_REQUESTS


async def request(work: UnitOfWork, caller: Caller, segment_id: int, file_format: str) -> ExportRow:
    """A new export of the segment's members. Raises NotFound."""
    segment = await find(work, caller, segment_id)
    export = await work.exports.create(segment.id, file_format)
    message = {"export_id": export.id, "tenant": caller.tenant, "segment_id": segment.id, "format": file_format}
    await work.outbox.add(EXPORT_REQUESTS, export.id, message)
    return export


async def apply_report(work: UnitOfWork, report: Progress) -> None:
    """Apply an exporter's report once; what has ended stays ended."""
    if await work.progress.add(report) and report.status in ("running", "complete", "failed"):
        await work.exports.report(report.id, report.status, report.error)
