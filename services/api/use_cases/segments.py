"""Making, changing and deleting segments. Saving never computes."""

from typing import Any, NamedTuple

from sqlalchemy import func

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.definitions import CheckedDefinition
from services.api.errors import Conflict, Invalid, NotFound
from services.api.repository.segments import SegmentRow
from services.api.use_cases.compute import drop_compute
from services.api.use_cases.wishes import wish


class SegmentChange(NamedTuple):
    """What a request says about a segment; None says nothing."""

    name: str | None = None
    description: str | None = None
    segment_type: str | None = None
    is_active: bool | None = None
    definition: CheckedDefinition | None = None
    no_definition: bool = False
    """`definition` is null in so many words."""


async def find(work: UnitOfWork, caller: Caller, segment_id: int, *, lock: bool = False) -> SegmentRow:
    """The caller's segment. Raises NotFound for an unknown, a deleted and another tenant's one."""
    segment = await work.segments.get(caller.tenant, segment_id, lock=lock)
    if segment is None:
        raise NotFound
    return segment


async def create(work: UnitOfWork, caller: Caller, change: SegmentChange) -> SegmentRow:
    """A new draft; its definition, if there is one, is version 1. Raises Invalid without a name."""
    if change.name is None:
        raise Invalid({"name": ["this field is required"]})
    segment_id = await work.segments.create(
        caller.tenant, change.name, change.description or "", change.segment_type or "rule"
    )
    if change.definition is not None:
        await _save(work, caller, segment_id, 1, change.definition)
    if change.is_active is False:
        await work.segments.change(segment_id, is_active=False)
    return await find(work, caller, segment_id)


async def change(work: UnitOfWork, caller: Caller, segment_id: int, change: SegmentChange) -> SegmentRow:
    """Change what the request names. A definition that differs is a new version and drops a compute that has not
    switched yet; `is_active: false` lets all members leave; `true` needs a new compute. Raises NotFound,
    Invalid, Conflict.
    """
    segment = await find(work, caller, segment_id, lock=True)
    if change.no_definition and segment.version:
        raise Invalid({"definition": ["$: a definition can be changed, not removed"]})
    values: dict[str, Any] = {
        field: value
        for field in ("name", "description", "segment_type")
        if (value := getattr(change, field)) is not None and value != getattr(segment, field)
    }
    if "segment_type" in values and (segment.active_version or segment.computing_version):
        raise Conflict("the type of a segment that is computed cannot be changed")
    if change.definition is not None and await _differs(work, segment, change.definition):
        await _save(work, caller, segment.id, segment.version + 1, change.definition)
        values["version"] = segment.version + 1
        if segment.computing_version is not None and segment.switch_wish_id is None:
            await drop_compute(work, segment, "the definition was changed")
    if change.is_active is not None and change.is_active != segment.is_active:
        await (_activate(work, segment) if change.is_active else _deactivate(work, segment))
        values["is_active"] = change.is_active
    if values:
        await work.segments.change(segment.id, **values, updated_at=func.now())
    return await find(work, caller, segment_id)


async def delete(work: UnitOfWork, caller: Caller, segment_id: int) -> None:
    """Delete the segment for ever; lookups leave it out at once. Raises NotFound."""
    segment = await find(work, caller, segment_id, lock=True)
    if segment.wish_id is not None:
        await wish(work, segment, deleted=True)
    await work.segments.change(segment.id, deleted_at=func.now())


async def _differs(work: UnitOfWork, segment: SegmentRow, definition: CheckedDefinition) -> bool:
    if segment.version == 0:
        return True
    return (await work.segments.version(segment.id, segment.version)).fingerprint != definition.fingerprint


async def _save(work: UnitOfWork, caller: Caller, segment_id: int, version: int, definition: CheckedDefinition) -> None:
    await work.segments.add_version(segment_id, version, definition.raw, definition.fingerprint, caller.name)


async def _deactivate(work: UnitOfWork, segment: SegmentRow) -> None:
    if segment.wish_id is not None:
        await wish(work, segment)
    ended = {"compute_finished_at": func.now(), "compute_error": "the segment was deactivated"}
    await work.segments.change(
        segment.id,
        active_version=None,
        computing_version=None,
        compute_wish_id=None,
        switch_wish_id=None,
        status="draft",
        status_detail="deactivated",
        **(ended if segment.computing_version is not None else {}),
    )


async def _activate(work: UnitOfWork, segment: SegmentRow) -> None:
    await work.segments.change(segment.id, status="draft", status_detail="active again, not computed yet")
