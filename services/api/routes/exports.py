"""/api/segments/<id>/export/: ask for a file of the members, and follow it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.api import schemas
from services.api.errors import NotFound
from services.api.export_links import link_to
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of_us
from services.api.pages import PageOf
from services.api.repository.exports import ExportRow
from services.api.scopes import Scope, needs
from services.api.use_cases import exports as use_cases
from services.api.use_cases.segments import find
from services.api.wiring import Wiring, WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["exports"])

_MAX_ID = (1 << 63) - 1


@router.post("/api/segments/{segment_id:id}/export/", status_code=202, response_model=schemas.ExportQueued)
@needs(Scope.WRITE)
async def request_export(
    wiring: WiringOf, caller: CallerOf, segment_id: int, body: schemas.ExportBody | None = None
) -> Response:
    """Ask for a file of the members at one instant, a few seconds from now."""
    wished = body or schemas.ExportBody()
    async with wiring.database.begin(caller.tenant) as work:
        export = await use_cases.request(work, caller, segment_id, wished.format)
    wiring.wake_relay()
    return JsonAnswer({"export_id": export.id, "id": export.id, "status": export.status}, 202)


@router.get("/api/segments/{segment_id:id}/export/", response_model=schemas.Export | schemas.ExportPage)
@needs(Scope.READ)
async def get_export(
    request: Request,
    wiring: WiringOf,
    caller: CallerOf,
    segment_id: int,
    page: PageOf,
    export_id: Annotated[int | None, Query(ge=1, le=_MAX_ID)] = None,
) -> Response:
    """One export, or without `export_id` the list of them, newest first."""
    async with wiring.database.begin(caller.tenant) as work:
        await find(work, caller, segment_id)
        if export_id is None:
            count, rows = await work.exports.page(segment_id, page.offset, page.limit)
            return JsonAnswer(page.answer(count, [_answer(request, wiring, row) for row in rows]))
        export = await work.exports.get(segment_id, export_id)
    if export is None:
        raise NotFound
    return JsonAnswer(_answer(request, wiring, export))


def _answer(request: Request, wiring: Wiring, export: ExportRow) -> dict[str, Any]:
    link = link_to(export, wiring.clock.now_us(), wiring.settings.export_link_s)
    expires_at_us = export.expires_at_us if link is None else link.expires_at_us
    return {
        "id": export.id,
        "export_id": export.id,
        "status": export.status,
        "format": export.format,
        "row_count": export.row_count,
        "download_url": None if link is None else str(request.url.replace(path=link.path, query=link.query)),
        "expires_at": None if expires_at_us is None else text_of_us(expires_at_us),
        "as_of": None if export.as_of_us is None else text_of_us(export.as_of_us),
        "size": export.size,
        "sha256": export.sha256,
        "error": export.error,
        "detail": export.detail,
    }
