"""SQL of exports."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import exports, segments
from shared.contracts.progress import ExportedFile


class ExportRow(NamedTuple):
    """One export of a segment's members; the columns are explained in services.api.tables."""

    id: int
    segment_id: int
    format: str
    status: str
    row_count: int | None
    error: str | None
    detail: str | None
    file_name: str | None
    size: int | None
    sha256: str | None
    as_of_us: int | None
    expires_at_us: int | None
    link_secret: bytes | None
    created_at: datetime
    finished_at: datetime | None


_COLUMNS = tuple(exports.c[name] for name in ExportRow._fields)


class ExportRepository:
    """Exports within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, segment_id: int, file_format: str, link_secret: bytes) -> ExportRow:
        """A new export, pending."""
        values = {"segment_id": segment_id, "format": file_format, "link_secret": link_secret}
        query = insert(exports).values(values).returning(*_COLUMNS)
        return ExportRow(*(await self._connection.execute(query)).one())

    async def get(self, segment_id: int, export_id: int) -> ExportRow | None:
        """One export of the segment, or None."""
        query = self._of(segment_id).where(exports.c.id == export_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else ExportRow(*row)

    async def page(self, segment_id: int, offset: int, limit: int) -> tuple[int, list[ExportRow]]:
        """How many exports the segment has, and a page of them, newest first."""
        count = select(func.count()).select_from(exports).where(exports.c.segment_id == segment_id)
        query = self._of(segment_id).order_by(exports.c.id.desc()).offset(offset).limit(limit)
        rows = [ExportRow(*row) for row in await self._connection.execute(query)]
        return int((await self._connection.execute(count)).scalar_one()), rows

    async def of_any_tenant(self, export_id: int) -> tuple[int, ExportRow] | None:
        """An export of a segment that is not deleted, with its tenant; None if there is none."""
        query = (
            select(segments.c.tenant_id, *_COLUMNS)
            .join(segments, segments.c.id == exports.c.segment_id)
            .where(exports.c.id == export_id, segments.c.deleted_at.is_(None))
        )
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else (row[0], ExportRow(*row[1:]))

    async def run(self, export_id: int, row_count: int | None, detail: str | None) -> None:
        """It is running, with so many rows so far: another attempt begins with fewer, which is not told."""
        rows = func.greatest(exports.c.row_count, row_count)
        await self._change(export_id, status="running", row_count=rows, detail=detail)

    async def fail(self, export_id: int, error: str | None) -> None:
        """It has failed."""
        await self._change(export_id, status="failed", row_count=None, detail=None, error=error, finished_at=func.now())

    async def complete(self, export_id: int, row_count: int | None, file: ExportedFile) -> None:
        """Its file is there."""
        await self._change(
            export_id,
            status="complete",
            row_count=row_count,
            detail=None,
            file_name=file.name,
            size=file.size,
            sha256=file.sha256,
            as_of_us=file.as_of_us,
            expires_at_us=file.expires_at_us,
            finished_at=func.now(),
        )

    async def _change(self, export_id: int, **values: Any) -> None:
        """Change one that has not ended: what has ended keeps its end."""
        unfinished = exports.c.id == export_id, exports.c.status.not_in(("complete", "failed"))
        await self._connection.execute(update(exports).where(*unfinished).values(**values))

    @staticmethod
    def _of(segment_id: int) -> Select[Any]:
        return select(*_COLUMNS).where(exports.c.segment_id == segment_id)
