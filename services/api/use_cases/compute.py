"""Compute: the newest version becomes the active one, in two phases that all partitions report on.

1. The wish {serving: old, computing: new}: every partition gathers what the new version needs and reports `ready`.
2. When all have, the switch {serving: new}: every partition flips its users and reports `switched`.

Computing the active version again has nothing to gather: its wish is a switch to itself.
"""

from typing import NamedTuple

from sqlalchemy import func

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.errors import Conflict, Invalid, NotFound
from services.api.repository.segments import SegmentRow
from services.api.use_cases import references, webhooks
from services.api.use_cases.wishes import wish
from shared.contracts.progress import Progress
from shared.domain.references import references_in


class ComputeState(NamedTuple):
    """The last compute of a segment; `partitions_done` counts those ready, or switched when none gathers."""

    segment: SegmentRow
    partitions_done: int


async def start(work: UnitOfWork, caller: Caller, segment_id: int) -> None:
    """Begin to compute the newest version. Raises NotFound, Invalid, Conflict."""
    await work.tenants.lock(caller.tenant)
    segment = await work.segments.get(caller.tenant, segment_id, lock=True)
    if segment is None:
        raise NotFound
    if segment.segment_type != "rule":
        raise Invalid({"segment_type": [f"segments of type {segment.segment_type} cannot be computed yet"]})
    if segment.version == 0:
        raise Invalid({"definition": ["$: the segment has no definition to compute"]})
    if not segment.is_active:
        raise Conflict("the segment is not active")
    if segment.computing_version is not None:
        raise Conflict("the segment is being computed")
    await references.check(work, caller.tenant, segment.id, references_in(segment.definition))
    new, old = segment.version, segment.active_version
    again = new == old
    wish_id = await wish(work, segment, serving=old, computing=None if again else new)
    await work.segments.change(
        segment.id,
        status="computing",
        status_detail="",
        computing_version=new,
        compute_wish_id=wish_id,
        switch_wish_id=wish_id if again else None,
        compute_version=new,
        compute_started_at=func.now(),
        compute_finished_at=None,
        compute_error=None,
    )


async def state(work: UnitOfWork, segment: SegmentRow, partitions: int) -> ComputeState:
    """How far the last compute has come."""
    if segment.compute_version is None:
        return ComputeState(segment, 0)
    if segment.computing_version is None and segment.compute_error is None:
        return ComputeState(segment, partitions)
    ready = await work.progress.partitions(segment.id, segment.compute_wish_id, "ready", partitions)
    switched = await work.progress.partitions(segment.id, segment.switch_wish_id, "switched", partitions)
    return ComputeState(segment, max(ready, switched))


async def drop_compute(work: UnitOfWork, segment: SegmentRow, reason: str, status: str | None = None) -> None:
    """End a compute before its switch: the old version, if any, keeps serving everybody.

    `status` is what the segment shows then; without it what it showed before the compute.
    """
    await wish(work, segment, serving=segment.active_version)
    before = "draft" if segment.active_version is None else "computed"
    await _end(work, segment, reason, status or before)


async def apply_report(work: UnitOfWork, report: Progress, partitions: int) -> int | None:
    """Apply an evaluator's report once; reports about an earlier wish change nothing.

    Returns the tenant when its segments or the outbox have changed.
    """
    segment = await work.segments.locked(report.id)
    if segment is None or not await work.progress.add(report) or segment.computing_version is None:
        return None
    reason = report.error or "no reason given"
    if segment.switch_wish_id is not None:
        if report.outbox_id != segment.switch_wish_id:
            return None
        if report.status == "failed":
            await _end(work, segment, reason, "failed")
        elif await _all(work, report, "switched", partitions):
            await _finish(work, segment)
        return None
    if report.outbox_id != segment.compute_wish_id:
        return None
    if report.status == "failed":
        await drop_compute(work, segment, reason, status="failed")
    elif await _all(work, report, "ready", partitions):
        await _switch(work, segment)
    return segment.tenant_id


async def _all(work: UnitOfWork, report: Progress, status: str, partitions: int) -> bool:
    return await work.progress.partitions(report.id, report.outbox_id, status, partitions) == partitions


async def _switch(work: UnitOfWork, segment: SegmentRow) -> None:
    wish_id = await wish(work, segment, serving=segment.computing_version)
    await work.segments.change(segment.id, active_version=segment.computing_version, switch_wish_id=wish_id)


async def _end(work: UnitOfWork, segment: SegmentRow, reason: str, status: str) -> None:
    await work.segments.change(
        segment.id,
        status=status,
        status_detail=f"the compute of version {segment.computing_version} ended: {reason}",
        computing_version=None,
        switch_wish_id=None,
        compute_finished_at=func.now(),
        compute_error=reason,
    )


async def _finish(work: UnitOfWork, segment: SegmentRow) -> None:
    await work.segments.change(
        segment.id,
        status="computed",
        status_detail="",
        computing_version=None,
        switch_wish_id=None,
        last_computed_at=func.now(),
        compute_finished_at=func.now(),
    )
    finished = await work.segments.locked(segment.id)
    assert finished is not None
    await webhooks.tell_recomputed(work, finished)
