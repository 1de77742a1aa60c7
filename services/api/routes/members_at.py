"""/api/segments/<id>/members/?at=: who was in a segment at an instant of the past."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.api import history_schemas as schemas
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import given_time, text_of_us
from services.api.use_cases.members_then import members_then
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["segments"])


@router.get("/api/segments/{segment_id:id}/members/", response_model=schemas.MembersThen)
async def list_members_then(
    request: Request,
    wiring: WiringOf,
    caller: CallerOf,
    segment_id: int,
    at: str,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    cursor: str | None = None,
) -> Response:
    """Who was in the segment at an instant, by user id. 503 while not all changes until then are archived."""
    found = await members_then(wiring, caller, request.receive, segment_id, given_time("at", at), limit, cursor or None)
    results = [{"user_id": user_id, "computed_at": text_of_us(since_us)} for user_id, since_us in found.members]
    return JsonAnswer({"results": results, "next_cursor": found.next_cursor, "count": found.total})
