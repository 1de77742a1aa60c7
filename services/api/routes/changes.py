"""/api/segments/<id>/changes/: who entered and exited a segment, in order, to be followed."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from services.api import history_schemas as schemas
from services.api.change_streams import MEDIA_TYPE, told
from services.api.errors import Invalid
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.scopes import Scope, needs
from services.api.use_cases.segments import find
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["changes"])

_MAX_DIGITS = 18
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get("/api/segments/{segment_id:id}/changes/", response_model=schemas.ChangeList, responses=_STREAM)
@needs(Scope.READ)
async def list_changes(
    request: Request,
    wiring: WiringOf,
    caller: CallerOf,
    segment_id: int,
    after: Annotated[str, Query(description="`next_after`, or the `position` of a change")] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: Annotated[str, Header(description="of a stream: goes before `after`")] = "",
) -> Response:
    """The changes of a segment after a cursor, in order; from the first one without.

    With `Accept: text/event-stream`: the same as server-sent events, without end. `id` is the cursor; `limit` is not
    looked at. 503 with Retry-After while too many follow.
    """
    is_stream = MEDIA_TYPE in accept
    position = _position("after", after)
    if is_stream and last_event_id:
        position = _position("Last-Event-ID", last_event_id)
    async with wiring.database.begin(caller.tenant) as work:
        await find(work, caller, segment_id)
    if is_stream:
        await wiring.feed.end()  # told as an error, not by a stream that breaks off, if the history is away
        headers = request.scope["headers"]
        return wiring.streams.response(
            caller.tenant, segment_id, position, lambda: wiring.authenticator.admit(headers, Scope.READ)
        )
    page = await wiring.feed.page(position, limit + 1, caller.tenant, segment_id)
    results, has_more = page.changes[:limit], len(page.changes) > limit
    next_after = results[-1].position if has_more else page.through
    return JsonAnswer({"results": [*map(told, results)], "next_after": str(next_after), "has_more": has_more})


def _position(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise Invalid({field: ["must be a cursor of this feed: `next_after`, or the position of a change"]})
    return int(text)
