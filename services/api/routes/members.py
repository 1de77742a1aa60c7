"""/api/segments/<id>/members/: who is in a segment."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.api import schemas
from services.api.cursors import cursor_of, read_cursor
from services.api.errors import Invalid
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import given_time, text_of_us
from services.api.member_pages import START, Member, Place
from services.api.members import count_members
from services.api.scopes import Scope, needs
from services.api.use_cases.members_then import members_then
from services.api.use_cases.segments import find
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["delivery"])

MAX_MEMBERS = 10_000
_MAX_CURSOR_CHARS = 4096


class MembersCursor(msgspec.Struct, array_like=True, frozen=True):
    """Where a walk over the members of a segment goes on."""

    segment_id: int
    partition: int
    user_id: str


@router.get("/api/segments/{segment_id:id}/members/", response_model=schemas.MembersPage)
@needs(Scope.READ)
async def list_members(
    request: Request,
    wiring: WiringOf,
    caller: CallerOf,
    segment_id: int,
    limit: Annotated[int, Query(ge=1, le=MAX_MEMBERS)] = 1000,
    cursor: Annotated[str | None, Query(max_length=_MAX_CURSOR_CHARS)] = None,
    at: str | None = None,
) -> Response:
    """The members now, or at an instant of the past (`at`), and when they entered.

    With `at`: exactly those of that instant, by user id; 503 while not all changes until then are archived. Without:
    whoever is a member from the first page to the last is there exactly once, whoever enters or leaves meanwhile. A
    page may be shorter than `limit`; the last one has no `next_cursor`. `count` is of the whole segment.
    """
    if at is not None:
        at_us = given_time("at", at)
        then = await members_then(wiring, caller, request.receive, segment_id, at_us, limit, cursor)
        return JsonAnswer(page_of(then.members, then.next_cursor, then.total))
    place = START if cursor is None else _place(cursor, segment_id, wiring.settings.partitions)
    async with wiring.database.begin(caller.tenant) as work:
        await find(work, caller, segment_id)
    members: list[Member] = []
    following, count = None, 0
    if segment_id in await wiring.live.of(caller.tenant):
        counts = await count_members(wiring.redis, wiring.settings.partitions, caller.tenant, [segment_id])
        members, following = await wiring.members.page(caller.tenant, segment_id, place, limit)
        count = counts[segment_id] or 0
    next_cursor = None if following is None else cursor_of(MembersCursor(segment_id, *following))
    return JsonAnswer(page_of(members, next_cursor, count))


def page_of(members: list[Member], next_cursor: str | None, count: int) -> dict[str, Any]:
    """The body of a page of members."""
    return {
        "results": [{"user_id": member.user_id, "computed_at": text_of_us(member.entered_at)} for member in members],
        "next_cursor": next_cursor,
        "count": count,
    }


def _place(text: str, segment_id: int, partitions: int) -> Place:
    cursor = read_cursor(text, MembersCursor)
    if cursor.segment_id != segment_id or not 0 <= cursor.partition < partitions or "\0" in cursor.user_id:
        raise Invalid({"cursor": ["is of another list"]})
    return Place(cursor.partition, cursor.user_id)
