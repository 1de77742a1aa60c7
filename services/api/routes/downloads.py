"""/api/segments/exports/<id>/download/: the file of an export, for its tenant or by a signed link."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.api.bodies import header
from services.api.errors import Conflict, Gone, Invalid, NotFound
from services.api.export_links import DOWNLOAD, file_name, is_signed
from services.api.file_answer import StoredFile, file_answer
from services.api.guarded_route import GuardedRoute
from services.api.instants import MICROSECONDS, text_of_us
from services.api.repository.exports import ExportRow
from services.api.scopes import Scope, needs
from services.api.use_cases import exports as use_cases
from services.api.wiring import Wiring, WiringOf
from shared.runtime.address import Address

router = APIRouter(route_class=GuardedRoute, tags=["exports"])

_MEDIA_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}
_PATH = DOWNLOAD.format(export_id="{export_id:id}")
_NO_LINK = "there is no such export, or this is not the whole link as it was given"
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {kind.split(";")[0]: _BINARY for kind in _MEDIA_TYPES.values()}},
    206: {"description": "The part of it that `Range` asked for"},
}


@router.get(
    _PATH,
    response_class=Response,
    responses=_ANSWERS,
    openapi_extra={"security": [{"ApiKey": []}, {"Bearer": []}, {}]},
)
@router.head(_PATH, include_in_schema=False)
@router.get(_PATH + "{name}/", include_in_schema=False)
@router.head(_PATH + "{name}/", include_in_schema=False)
@needs(Scope.OPEN)  # to a link, which is credentials of its own; to whoever brings none a look at the key
async def download(
    request: Request,
    wiring: WiringOf,
    export_id: int,
    expires: Annotated[int | None, Query(ge=0, le=1 << 40)] = None,
    signature: Annotated[str | None, Query()] = None,
) -> Response:
    """The file: with credentials that may read, or without any by the `expires` and `signature` of a `download_url`."""
    authorization = header(request.scope["headers"], b"authorization")
    if authorization is None and (expires is not None or signature is not None):
        export = await _linked(wiring, export_id, expires, signature)
    else:
        caller = await wiring.authenticator.admit(request.scope["headers"], Scope.READ)
        async with wiring.database.begin(caller.tenant) as work:
            export = await use_cases.of_caller(work, caller, export_id)
    return await _answer(request, wiring, export)


async def _linked(wiring: Wiring, export_id: int, expires: int | None, signature: str | None) -> ExportRow:
    """The export of a link. Raises Invalid, NotFound, Gone."""
    if expires is None or signature is None:
        missing = "expires" if expires is None else "signature"
        raise Invalid({missing: ["this field is required in a link; was the link cut at its &?"]})
    async with wiring.database.begin_for_all() as work:
        found = await work.exports.of_any_tenant(export_id)
    if found is None or not is_signed(found[1], expires, signature):
        raise NotFound(_NO_LINK)
    if expires * MICROSECONDS <= wiring.clock.now_us():
        raise Gone("this link has expired; ask for the status of the export to get a new one")
    return found[1]


async def _answer(request: Request, wiring: Wiring, export: ExportRow) -> Response:
    if export.status != "complete" or export.file_name is None:
        raise Conflict(f"the export is {export.status}" + (f": {export.error}" if export.error else ""))
    assert export.size is not None
    assert export.sha256 is not None
    assert export.as_of_us is not None
    assert export.expires_at_us is not None
    if export.expires_at_us <= wiring.clock.now_us():
        raise Gone("the file was kept until its time was over; ask for a new export")
    headers = {
        "Content-Type": _MEDIA_TYPES[export.format],
        "Content-Disposition": f'attachment; filename="{file_name(export)}"',
        "Cache-Control": "private",
        "X-Content-Type-Options": "nosniff",
        "X-Export-As-Of": text_of_us(export.as_of_us),
        "X-Export-Row-Count": str(export.row_count),
    }
    stored = StoredFile(export.file_name, export.size, export.sha256)
    return await file_answer(Address.of(wiring.settings.exports), stored, request, headers)
