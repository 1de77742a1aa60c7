"""SQL of references between segments."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import segment_references, segment_versions, segments


class ReferenceRow(NamedTuple):
    """A version of a segment that counts, being its newest, active or computing one, refers to another segment."""

    segment_id: int
    name: str
    version: int
    is_newest: bool
    refers_to: int


class SameRow(NamedTuple):
    """A segment whose newest version says the same."""

    segment_id: int
    name: str


_THIS = segment_references.c
_COUNTS = or_(*(_THIS.version == segments.c[name] for name in ("version", "active_version", "computing_version")))


class ReferenceRepository:
    """References within one transaction. Those of deleted segments are never found."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, segment_id: int, version: int, refers_to: Collection[int]) -> None:
        """What a new version refers to."""
        if refers_to:
            rows = [{"segment_id": segment_id, "version": version, "refers_to": other} for other in refers_to]
            await self._connection.execute(insert(segment_references), rows)

    async def known(self, tenant: int, segment_ids: Collection[int]) -> dict[int, bool]:
        """Those of the ids that the tenant has or had, and whether it still has them."""
        query = select(segments.c.id, segments.c.deleted_at.is_(None).label("is_there")).where(
            segments.c.tenant_id == tenant, segments.c.id.in_(segment_ids)
        )
        return {row.id: row.is_there for row in await self._connection.execute(query)}

    async def all_of(self, tenant: int) -> list[ReferenceRow]:
        """All references between the tenant's segments."""
        return await self._rows(segments.c.tenant_id == tenant)

    async def active_referrers(self, tenant: int, segment_id: int) -> list[ReferenceRow]:
        """References to a segment by active ones."""
        return await self._rows(segments.c.tenant_id == tenant, segments.c.is_active, _THIS.refers_to == segment_id)

    async def same(self, tenant: int, segment_id: int, meaning: str) -> SameRow | None:
        """The oldest other segment of the tenant whose newest version says the same, or None."""
        newest = and_(segment_versions.c.segment_id == segments.c.id, segment_versions.c.version == segments.c.version)
        query = (
            select(segments.c.id, segments.c.name)
            .join(segment_versions, newest)
            .where(
                segment_versions.c.meaning == meaning,
                segments.c.tenant_id == tenant,
                segments.c.deleted_at.is_(None),
                segments.c.id != segment_id,
            )
            .order_by(segments.c.id)
            .limit(1)
        )
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else SameRow(*row)

    async def _rows(self, *wanted: ColumnElement[bool]) -> list[ReferenceRow]:
        is_newest = _THIS.version == segments.c.version
        query = (
            select(segments.c.id, segments.c.name, _THIS.version, is_newest, _THIS.refers_to)
            .join(segments, segments.c.id == _THIS.segment_id)
            .where(_COUNTS, segments.c.deleted_at.is_(None), *wanted)
            .order_by(segments.c.id, _THIS.version.desc(), _THIS.refers_to)
        )
        return [ReferenceRow(*row) for row in await self._connection.execute(query)]
