"""Making, changing and deleting segments. Saving never computes."""

from typing import Any, NamedTuple

from sqlalchemy import func

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.definitions import GivenDefinition, read_definition
from services.api.errors import Conflict, Invalid, NotFound
from services.api.repository.segments import SegmentRow
from services.api.use_cases import references
from services.api.use_cases.compute import drop_compute
from services.api.use_cases.wishes import wish
from shared.domain.definition_warnings import DefinitionWarning


class SegmentChange(NamedTuple):
    """What a request says about a segment; None says nothing."""

    name: str | None = None
    description: str | None = None
    segment_type: str | None = None
    is_active: bool | None = None
    definition: GivenDefinition | None = None
    no_definition: bool = False
    """`definition` is null in so many words."""


async def find(work: UnitOfWork, caller: Caller, segment_id: int, *, lock: bool = False) -> SegmentRow:
    """The caller's segment. Raises NotFound for an unknown, a deleted and another tenant's one."""
    segment = await work.segments.get(caller.tenant, segment_id, lock=lock)
    if segment is None:
        raise NotFound
    return segment


class Saved(NamedTuple):
    """A segment after a change, and what is worth knowing of the definition that the request gave."""

    segment: SegmentRow
    warnings: list[DefinitionWarning]


async def create(work: UnitOfWork, caller: Caller, change: SegmentChange) -> Saved:
    """A new draft; its definition, if there is one, is version 1. Raises Invalid; without a name too."""
    if change.name is None:
        raise Invalid({"name": ["this field is required"]})
    given = change.definition
    if given is not None:
        await work.tenants.lock(caller.tenant)
        await references.check(work, caller.tenant, None, given.references, given.faults)
    segment_id = await work.segments.create(
        caller.tenant, change.name, change.description or "", change.segment_type or "rule"
    )
    if given is not None:
        await _add_version(work, caller, segment_id, 1, given)
    if change.is_active is False:
        await work.segments.change(segment_id, is_active=False)
    return await _saved(work, caller, segment_id, given)


async def change(work: UnitOfWork, caller: Caller, segment_id: int, change: SegmentChange) -> Saved:
    """Change what the request names. A definition that differs is a new version and drops a compute that has not
    switched yet; `is_active: false` lets all members leave; `true` needs a new compute. Raises NotFound,
    Invalid, Conflict.
    """
    if change.definition is not None:
        await work.tenants.lock(caller.tenant)
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
    if change.definition is not None:
        values |= await _change_definition(work, caller, segment, change.definition)
    if change.is_active is not None and change.is_active != segment.is_active:
        await (_activate(work, segment) if change.is_active else _deactivate(work, segment))
        values["is_active"] = change.is_active
    if values:
        await work.segments.change(segment.id, **values, updated_at=func.now())
    return await _saved(work, caller, segment_id, change.definition)


async def restore(work: UnitOfWork, caller: Caller, segment_id: int, version: int) -> Saved:
    """Save the definition of an older version anew. Raises NotFound, Invalid, Conflict."""
    await work.tenants.lock(caller.tenant)
    segment = await find(work, caller, segment_id, lock=True)
    if not 1 <= version <= segment.version:
        raise NotFound
    given = read_definition((await work.segments.version(segment.id, version)).definition)
    values = await _change_definition(work, caller, segment, given)
    if values:
        await work.segments.change(segment.id, **values, updated_at=func.now())
    return await _saved(work, caller, segment_id, given)


async def delete(work: UnitOfWork, caller: Caller, segment_id: int) -> None:
    """Delete the segment for ever; lookups leave it out at once. Raises NotFound, and Conflict when active segments
    refer to it.
    """
    await work.tenants.lock(caller.tenant)
    segment = await find(work, caller, segment_id, lock=True)
    await references.check_deletion(work, caller.tenant, segment.id)
    if segment.wish_id is not None:
        await wish(work, segment, deleted=True)
    await work.segments.change(segment.id, deleted_at=func.now())


async def _change_definition(
    work: UnitOfWork, caller: Caller, segment: SegmentRow, given: GivenDefinition
) -> dict[str, Any]:
    """Save a definition that differs from the newest version; what it changes of the segment."""
    if not given.faults and not await _differs(work, segment, given):
        return {}
    await references.check(work, caller.tenant, segment.id, given.references, given.faults)
    await _add_version(work, caller, segment.id, segment.version + 1, given)
    if segment.computing_version is not None and segment.switch_wish_id is None:
        await drop_compute(work, segment, "the definition was changed")
    return {"version": segment.version + 1}


async def _differs(work: UnitOfWork, segment: SegmentRow, given: GivenDefinition) -> bool:
    if segment.version == 0:
        return True
    return (await work.segments.version(segment.id, segment.version)).fingerprint != given.fingerprint


async def _add_version(work: UnitOfWork, caller: Caller, segment_id: int, version: int, given: GivenDefinition) -> None:
    await work.segments.add_version(segment_id, version, given.raw, given.fingerprint, given.meaning, caller.name)
    await work.references.add(segment_id, version, {each.segment_id for each in given.references})


async def _saved(work: UnitOfWork, caller: Caller, segment_id: int, given: GivenDefinition | None) -> Saved:
    segment = await find(work, caller, segment_id)
    if given is None:
        return Saved(segment, [])
    warnings = list(given.warnings)
    same = await work.references.same(caller.tenant, segment_id, given.meaning)
    if same is not None:
        warnings.append(DefinitionWarning("$", f'says the same as segment {same.segment_id} "{same.name}"'))
    return Saved(segment, warnings)


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
