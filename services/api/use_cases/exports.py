"""Export requests: stored, handed to the exporter, their status, and who may have the file."""

import secrets

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.errors import NotFound
from services.api.repository.exports import ExportRow
from services.api.use_cases.segments import find
from shared.contracts.progress import Progress
from shared.contracts.topics import EXPORT_REQUESTS

_SECRET_BYTES = 32


async def request(work: UnitOfWork, caller: Caller, segment_id: int, file_format: str) -> ExportRow:
    """A new export of the segment's members. Raises NotFound."""
    segment = await find(work, caller, segment_id)
    export = await work.exports.create(segment.id, file_format, secrets.token_bytes(_SECRET_BYTES))
    message = {"export_id": export.id, "tenant": caller.tenant, "segment_id": segment.id, "format": file_format}
    await work.outbox.add(EXPORT_REQUESTS, export.id, message)
    return export


async def of_caller(work: UnitOfWork, caller: Caller, export_id: int) -> ExportRow:
    """An export of the caller's. Raises NotFound for an unknown one, another tenant's, and a deleted segment's."""
    found = await work.exports.of_any_tenant(export_id)
    if found is None or found[0] != caller.tenant:
        raise NotFound
    return found[1]


async def apply_report(work: UnitOfWork, report: Progress) -> None:
    """Apply an exporter's report; the first that ends an export counts."""
    if report.status == "running":
        await work.exports.run(report.id, report.row_count, report.detail)
    elif not await work.progress.add(report):
        return
    elif report.status == "complete" and report.file is not None:
        await work.exports.complete(report.id, report.row_count, report.file)
    elif report.status == "failed":
        await work.exports.fail(report.id, report.error)
