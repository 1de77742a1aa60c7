"""SQL of progress reports."""

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import progress_reports
from shared.contracts.progress import Progress


class ProgressRepository:
    """Reports within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, report: Progress) -> bool:
        """Store a report; False when it was stored before."""
        result = await self._connection.execute(
            insert(progress_reports)
            .values(
                kind=report.kind,
                id=report.id,
                outbox_id=report.outbox_id,
                partition=report.partition,
                status=report.status,
                version=report.version,
                cutover=report.cutover,
                error=report.error,
            )
            .on_conflict_do_nothing()
        )
        return result.rowcount == 1

    async def partitions(self, segment_id: int, outbox_id: int | None, status: str, partitions: int) -> int:
        """How many of the `partitions` have reported this status about this command."""
        table = progress_reports.c
        if outbox_id is None:
            return 0
        result = await self._connection.execute(
            select(func.count(table.partition.distinct())).where(
                table.kind == "segment",
                table.id == segment_id,
                table.outbox_id == outbox_id,
                table.status == status,
                table.partition.between(0, partitions - 1),
            )
        )
        return int(result.scalar_one())
