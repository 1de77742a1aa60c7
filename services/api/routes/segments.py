"""/api/segments/ and below: segments and the versions of their definitions."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.api import schemas
from services.api.auth import Caller
from services.api.definitions import read_definition, refuse
from services.api.errors import Invalid
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of
from services.api.members import count_members
from services.api.pages import PageOf
from services.api.repository.segments import SegmentFilter, SegmentRow
from services.api.scopes import Scope, needs
from services.api.use_cases import segments as use_cases
from services.api.wiring import Wiring, WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["segments"])


@router.get("/api/segments/", response_model=schemas.SegmentPage)
@needs(Scope.READ)
async def list_segments(
    wiring: WiringOf,
    caller: CallerOf,
    page: PageOf,
    q: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")] = None,
    status: schemas.Status | None = None,
    segment_type: schemas.SegmentType | None = None,
) -> Response:
    """The caller's segments by id; `q` is looked for in name and description."""
    async with wiring.database.begin(caller.tenant) as work:
        narrow = SegmentFilter(q, status, segment_type)
        count, rows = await work.segments.page(caller.tenant, narrow, page.offset, page.limit)
    return JsonAnswer(page.answer(count, await _answers(wiring, caller, rows)))


@router.post("/api/segments/", status_code=201, response_model=schemas.SavedSegment)
@needs(Scope.WRITE)
async def create_segment(wiring: WiringOf, caller: CallerOf, body: schemas.NewSegmentBody) -> Response:
    """A new segment; a definition makes version 1. Saving never computes.

    Segments that a definition refers to must be the tenant's. `warnings` say what is worth knowing of it.
    """
    change = _change(caller, body)
    async with wiring.database.begin(caller.tenant) as work:
        saved = await use_cases.create(work, caller, change)
    return await _saved(wiring, caller, saved, 201)


@router.get("/api/segments/{segment_id:id}/", response_model=schemas.Segment)
@needs(Scope.READ)
async def get_segment(wiring: WiringOf, caller: CallerOf, segment_id: int) -> Response:
    """One segment."""
    async with wiring.database.begin(caller.tenant) as work:
        segment = await use_cases.find(work, caller, segment_id)
    return JsonAnswer((await _answers(wiring, caller, [segment]))[0])


@router.patch("/api/segments/{segment_id:id}/", response_model=schemas.SavedSegment)
@needs(Scope.WRITE)
async def change_segment(
    wiring: WiringOf, caller: CallerOf, segment_id: int, body: schemas.SegmentChangeBody
) -> Response:
    """Change some fields; a definition that differs makes a new version. Saving never computes.

    409 if the segment would refer to itself, directly or by others. The new version answers from its own compute on,
    and counts the events that arrive after that.
    """
    return await _changed(wiring, caller, segment_id, _change(caller, body))


@router.put("/api/segments/{segment_id:id}/", response_model=schemas.SavedSegment)
@needs(Scope.WRITE)
async def put_segment(wiring: WiringOf, caller: CallerOf, segment_id: int, body: schemas.SegmentChangeBody) -> Response:
    """As PATCH: fields that are left out stay."""
    return await _changed(wiring, caller, segment_id, _change(caller, body))


@router.delete("/api/segments/{segment_id:id}/", status_code=204, response_class=Response)
@needs(Scope.WRITE)
async def delete_segment(wiring: WiringOf, caller: CallerOf, segment_id: int) -> Response:
    """Delete a segment for ever; lookups leave it out at once. 409 while an active segment refers to it."""
    async with wiring.database.begin(caller.tenant) as work:
        await use_cases.delete(work, caller, segment_id)
    _follow(wiring, caller)
    return Response(status_code=204)


@router.get("/api/segments/{segment_id:id}/versions/", response_model=schemas.VersionPage)
@needs(Scope.READ)
async def list_versions(wiring: WiringOf, caller: CallerOf, segment_id: int, page: PageOf) -> Response:
    """The saved definitions, newest first."""
    async with wiring.database.begin(caller.tenant) as work:
        segment = await use_cases.find(work, caller, segment_id)
        rows = await work.segments.versions(segment_id, page.offset, page.limit)
    results = [
        {
            "version": row.version,
            "definition": row.definition,
            "created_at": text_of(row.created_at),
            "created_by": row.created_by,
            "active": row.version == segment.active_version,
        }
        for row in rows
    ]
    # versions are numbered without a gap, so the newest one is how many there are
    return JsonAnswer(page.answer(segment.version, results))


@router.post("/api/segments/{segment_id:id}/versions/{version:id}/restore/", response_model=schemas.SavedSegment)
@needs(Scope.WRITE)
async def restore_version(wiring: WiringOf, caller: CallerOf, segment_id: int, version: int) -> Response:
    """Make the definition of an older version the newest one, unless it is. Saving never computes."""
    async with wiring.database.begin(caller.tenant) as work:
        saved = await use_cases.restore(work, caller, segment_id, version)
    _follow(wiring, caller)
    return await _saved(wiring, caller, saved)


async def _changed(wiring: Wiring, caller: Caller, segment_id: int, change: use_cases.SegmentChange) -> Response:
    async with wiring.database.begin(caller.tenant) as work:
        saved = await use_cases.change(work, caller, segment_id, change)
    _follow(wiring, caller)
    return await _saved(wiring, caller, saved)


async def _saved(wiring: Wiring, caller: Caller, saved: use_cases.Saved, status: int = 200) -> Response:
    (answer,) = await _answers(wiring, caller, [saved.segment])
    return JsonAnswer(answer | {"warnings": [warning._asdict() for warning in saved.warnings]}, status)


def _follow(wiring: Wiring, caller: Caller) -> None:
    wiring.live.forget(caller.tenant)
    wiring.wake_relay()


def _change(caller: Caller, body: schemas.SegmentChangeBody) -> use_cases.SegmentChange:
    if body.tenant is not None and body.tenant not in (caller.tenant, caller.slug):
        raise Invalid({"tenant": ["must be the caller's tenant"]})
    given = {
        field: getattr(body, field)
        for field in ("name", "description", "segment_type", "is_active")
        if field in body.model_fields_set
    }
    named = "definition" in body.model_fields_set
    definition = None if body.definition is None else read_definition(body.definition)
    if definition is not None and not definition.references:
        refuse(definition.faults)  # nothing to be found of it in the database
    return use_cases.SegmentChange(
        **given,
        definition=definition,
        no_definition=named and body.definition is None,
    )


async def _answers(wiring: Wiring, caller: Caller, rows: list[SegmentRow]) -> list[dict[str, Any]]:
    live = [row.id for row in rows if row.active_version is not None]
    counts = await count_members(wiring.redis, wiring.settings.partitions, caller.tenant, live)
    return [_answer(row, counts.get(row.id, 0)) for row in rows]


def _answer(row: SegmentRow, member_count: int | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "tenant": row.tenant_id,
        "segment_type": row.segment_type,
        "definition": row.definition,
        "version": row.version,
        "active_version": row.active_version,
        "is_active": row.is_active,
        "status": row.status,
        "status_detail": row.status_detail,
        "member_count": member_count,
        "last_computed_at": text_of(row.last_computed_at),
        "created_at": text_of(row.created_at),
        "updated_at": text_of(row.updated_at),
    }
