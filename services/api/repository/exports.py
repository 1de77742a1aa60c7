"""SQL of exports."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import exports


class ExportRow(NamedTuple):
    """One export of a segment's members."""

    id: int
    segment_id: int
    format: str
    status: str
    row_count: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


_COLUMNS = tuple(exports.c[name] for name in ExportRow._fields)
_FINAL = ("complete", "failed")


class ExportRepository:
    """Exports within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, segment_id: int, file_format: str) -> ExportRow:
        """A new export, pending."""
        query = insert(exports).values(segment_id=segment_id, format=file_format).returning(*_COLUMNS)
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

    async def report(self, export_id: int, status: str, error: str | None) -> None:
        """Store what the exporter reports; an export that has ended keeps its end."""
        ended = func.now() if status in _FINAL else None
        await self._connection.execute(
            update(exports)
            .where(exports.c.id == export_id, exports.c.status.not_in(_FINAL))
            .values(status=status, error=error, finished_at=ended)
        )

    @staticmethod
    def _of(segment_id: int) -> Select[Any]:
        return select(*_COLUMNS).where(exports.c.segment_id == segment_id)
