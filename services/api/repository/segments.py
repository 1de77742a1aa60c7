"""SQL of segments and their versions."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import segment_versions, segments


class SegmentRow(NamedTuple):
    """One segment; the columns are explained in services.api.tables."""

    id: int
    tenant_id: int
    name: str
    description: str
    segment_type: str
    is_active: bool
    status: str
    status_detail: str
    version: int
    active_version: int | None
    computing_version: int | None
    wish_id: int | None
    compute_wish_id: int | None
    switch_wish_id: int | None
    compute_version: int | None
    compute_started_at: datetime | None
    compute_finished_at: datetime | None
    compute_error: str | None
    last_computed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    definition: dict[str, Any] | None
    """Of the newest version."""


class VersionRow(NamedTuple):
    """One saved definition of a segment."""

    version: int
    definition: dict[str, Any]
    fingerprint: str
    created_by: str
    created_at: datetime


class SegmentFilter(NamedTuple):
    """What a list is narrowed to; None narrows nothing. `q` is text found in name or description."""

    q: str | None = None
    status: str | None = None
    segment_type: str | None = None


_SEGMENT = tuple(segments.c[name] for name in SegmentRow._fields if name != "definition")
_VERSION = tuple(segment_versions.c[name] for name in VersionRow._fields)
_NEWEST = and_(segment_versions.c.segment_id == segments.c.id, segment_versions.c.version == segments.c.version)


class SegmentRepository:
    """Segments within one transaction; a deleted segment is never found."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, tenant: int, name: str, description: str, segment_type: str) -> int:
        """A new draft without definition; returns its id."""
        values = {"tenant_id": tenant, "name": name, "description": description, "segment_type": segment_type}
        result = await self._connection.execute(insert(segments).values(**values).returning(segments.c.id))
        return int(result.scalar_one())

    async def get(self, tenant: int, segment_id: int, *, lock: bool = False) -> SegmentRow | None:
        """The tenant's segment, or None. `lock`: other changes of it wait for the end of this transaction."""
        query = _segments().where(segments.c.tenant_id == tenant, segments.c.id == segment_id)
        return await self._one(query, lock=lock)

    async def locked(self, segment_id: int) -> SegmentRow | None:
        """The segment of whatever tenant, locked, or None."""
        return await self._one(_segments().where(segments.c.id == segment_id), lock=True)

    async def page(self, tenant: int, narrow: SegmentFilter, offset: int, limit: int) -> tuple[int, list[SegmentRow]]:
        """How many segments pass the filter, and a page of them, by id."""
        wanted = _wanted(tenant, narrow)
        count = select(func.count()).select_from(segments).where(*wanted)
        query = _segments().where(*wanted).order_by(segments.c.id).offset(offset).limit(limit)
        rows = [SegmentRow(*row) for row in await self._connection.execute(query)]
        return int((await self._connection.execute(count)).scalar_one()), rows

    async def change(self, segment_id: int, **values: Any) -> None:
        """Set columns of a segment that the caller has locked."""
        await self._connection.execute(update(segments).where(segments.c.id == segment_id).values(**values))

    async def add_version(
        self, segment_id: int, version: int, definition: dict[str, Any], fingerprint: str, meaning: str, created_by: str
    ) -> None:
        """Save a definition as the newest version of a segment that the caller has locked."""
        await self._connection.execute(
            insert(segment_versions).values(
                segment_id=segment_id,
                version=version,
                definition=definition,
                fingerprint=fingerprint,
                meaning=meaning,
                created_by=created_by,
            )
        )
        await self.change(segment_id, version=version)

    async def version(self, segment_id: int, version: int) -> VersionRow:
        """One version, which must exist."""
        query = select(*_VERSION).where(
            segment_versions.c.segment_id == segment_id, segment_versions.c.version == version
        )
        return VersionRow(*(await self._connection.execute(query)).one())

    async def versions(self, segment_id: int, offset: int, limit: int) -> list[VersionRow]:
        """A page of the versions, newest first."""
        query = select(*_VERSION).where(segment_versions.c.segment_id == segment_id)
        query = query.order_by(segment_versions.c.version.desc()).offset(offset).limit(limit)
        return [VersionRow(*row) for row in await self._connection.execute(query)]

    async def active_definitions(self, tenant: int, segment_ids: Collection[int]) -> dict[int, dict[str, Any]]:
        """The definitions that serve, of those of these segments that the tenant has and that are active."""
        active = and_(
            segment_versions.c.segment_id == segments.c.id, segment_versions.c.version == segments.c.active_version
        )
        query = (
            select(segments.c.id, segment_versions.c.definition)
            .join(segment_versions, active)
            .where(segments.c.id.in_(segment_ids), *_live(tenant))
        )
        return {row.id: row.definition for row in await self._connection.execute(query)}

    async def names(self, tenant: int, segment_ids: Collection[int]) -> dict[int, str]:
        """The names of those of these segments that the tenant has."""
        if not segment_ids:
            return {}
        query = select(segments.c.id, segments.c.name).where(
            segments.c.tenant_id == tenant, segments.c.id.in_(segment_ids), segments.c.deleted_at.is_(None)
        )
        return {row.id: row.name for row in await self._connection.execute(query)}

    async def live_ids(self, tenant: int) -> frozenset[int]:
        """The segments that have members at all: active, computed once, not deleted."""
        query = select(segments.c.id).where(*_live(tenant))
        return frozenset((await self._connection.execute(query)).scalars())

    async def _one(self, query: Select[Any], *, lock: bool) -> SegmentRow | None:
        row = (await self._connection.execute(query.with_for_update(of=segments) if lock else query)).one_or_none()
        return None if row is None else SegmentRow(*row)


def _segments() -> Select[Any]:
    joined = segments.outerjoin(segment_versions, _NEWEST)
    columns = (*_SEGMENT, segment_versions.c.definition)
    return select(*columns).select_from(joined).where(segments.c.deleted_at.is_(None))


def _live(tenant: int) -> tuple[ColumnElement[bool], ...]:
    return (
        segments.c.tenant_id == tenant,
        segments.c.is_active,
        segments.c.active_version.is_not(None),
        segments.c.deleted_at.is_(None),
    )


def _wanted(tenant: int, narrow: SegmentFilter) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [segments.c.tenant_id == tenant, segments.c.deleted_at.is_(None)]
    if narrow.q:
        found = (segments.c.name, segments.c.description)
        wanted.append(or_(*(column.icontains(narrow.q, autoescape=True) for column in found)))
    if narrow.status is not None:
        wanted.append(segments.c.status == narrow.status)
    if narrow.segment_type is not None:
        wanted.append(segments.c.segment_type == narrow.segment_type)
    return wanted
