"""SQL of the audit: what can be compared of a tenant, and what was found."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, case, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import audit_mismatches, audits, progress_reports, segment_versions, segments

KEPT_MISMATCHES = 100
"""The latest of a tenant; older ones are only counted."""


class SegmentState(NamedTuple):
    """What decides a segment's answers: its active version, and the last wish about it.

    is_settled: all partitions have followed that wish, so every user has this version's answer.
    """

    active_version: int | None
    wish_id: int | None
    is_settled: bool


class Mismatch(NamedTuple):
    """A live answer that is not the one of history; the columns of the table."""

    user_id: str
    segment_id: int
    version: int
    live: bool
    by_history: bool
    as_of_us: int
    log_epoch: str
    partition: int
    next_offset: int


class Counts(NamedTuple):
    """Of one or more rounds, in pairs of user and segment."""

    checked: int
    skipped: int
    mismatches: int


class AuditRow(NamedTuple):
    """What was found of a tenant since the first round."""

    rounds: int
    checked: int
    skipped: int
    mismatches: int
    since: datetime
    last_round_at: datetime


class AuditRepository:
    """The audit within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def tenants(self) -> list[int]:
        """The tenants that have a segment with members, in order."""
        has_members = (segments.c.active_version.is_not(None), segments.c.is_active, segments.c.deleted_at.is_(None))
        query = select(segments.c.tenant_id).where(*has_members).distinct().order_by(segments.c.tenant_id)
        return list((await self._connection.execute(query)).scalars())

    async def states(self, tenant: int, partitions: int) -> dict[int, SegmentState]:
        """The tenant's segments, but deleted ones, which have no members whatever else is known of them."""
        report, segment = progress_reports.c, segments.c
        switched = (
            select(func.count(report.partition.distinct()))
            .where(
                report.kind == "segment",
                report.id == segment.id,
                report.outbox_id == segment.wish_id,
                report.status == "switched",
                report.partition.between(0, partitions - 1),
            )
            .scalar_subquery()
        )
        is_settled = and_(segment.computing_version.is_(None), segment.wish_id.is_(None) | (switched == partitions))
        active = case((segment.is_active, segment.active_version))
        query = select(segment.id, active, segment.wish_id, is_settled)
        query = query.where(segment.tenant_id == tenant, segment.deleted_at.is_(None))
        return {row[0]: SegmentState(*row[1:]) for row in await self._connection.execute(query)}

    async def definitions(self, segment_ids: Collection[int]) -> dict[int, dict[str, Any]]:
        """The definitions of the active versions of these segments, by segment."""
        is_active = and_(
            segment_versions.c.segment_id == segments.c.id, segment_versions.c.version == segments.c.active_version
        )
        query = select(segments.c.id, segment_versions.c.definition).join(segment_versions, is_active)
        query = query.where(segments.c.id.in_(segment_ids))
        return {row.id: row.definition for row in await self._connection.execute(query)}

    async def add(self, tenant: int, counts: Counts, mismatches: Sequence[Mismatch]) -> None:
        """Count a round, and keep the latest mismatches."""
        table = audits.c
        counted = upsert(audits).values(tenant_id=tenant, rounds=1, **counts._asdict())
        added = {name: table[name] + value for name, value in {"rounds": 1, **counts._asdict()}.items()}
        await self._connection.execute(
            counted.on_conflict_do_update(index_elements=[table.tenant_id], set_={**added, "last_round_at": func.now()})
        )
        if not mismatches:
            return
        rows = [{"tenant_id": tenant, **mismatch._asdict()} for mismatch in mismatches]
        await self._connection.execute(insert(audit_mismatches), rows)
        of_tenant = audit_mismatches.c.tenant_id == tenant
        kept = select(audit_mismatches.c.id).where(of_tenant).order_by(audit_mismatches.c.id.desc())
        await self._connection.execute(
            delete(audit_mismatches).where(of_tenant, audit_mismatches.c.id.not_in(kept.limit(KEPT_MISMATCHES)))
        )

    async def found(self, tenant: int) -> AuditRow | None:
        """What was found of the tenant; None before its first round."""
        query = select(*(audits.c[name] for name in AuditRow._fields)).where(audits.c.tenant_id == tenant)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else AuditRow(*row)

    async def mismatches(self, tenant: int) -> list[tuple[Mismatch, datetime]]:
        """The kept mismatches of the tenant and when they were found, newest first."""
        columns = [audit_mismatches.c[name] for name in (*Mismatch._fields, "found_at")]
        query = select(*columns).where(audit_mismatches.c.tenant_id == tenant).order_by(audit_mismatches.c.id.desc())
        return [(Mismatch(*row[:-1]), row[-1]) for row in await self._connection.execute(query)]
