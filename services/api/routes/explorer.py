"""/api/explorer/: looking into one user, and trying an event without storing it."""

from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.api import schemas
from services.api.errors import Conflict, Invalid
from services.api.explanations import rows_of, verbose_of
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.hot.ingestion import event_value, refusal
from services.api.hot.lookups import MAX_USER_ID_CHARS
from services.api.hot.openapi import EVENT
from services.api.instants import text_of_us
from services.api.members import count_members
from services.api.membership import entered_at, membership_at
from services.api.use_cases.segments import find
from services.api.wiring import WiringOf
from shared.contracts.event import decode_track
from shared.domain.condition import references
from shared.domain.definition import parse_definition
from shared.domain.errors import InvalidEvent

router = APIRouter(route_class=GuardedRoute, tags=["explorer"])

_EVENT_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": EVENT}}}}


@router.get("/api/explorer/users/{user_id}/segments/", response_model=list[schemas.UserSegment])
async def list_user_segments(wiring: WiringOf, caller: CallerOf, user_id: str) -> Response:
    """The segments that a user is in now, since when, and how many members each has."""
    tenant, user = caller.tenant, _user(user_id)
    live = await wiring.live.of(tenant)
    clock, (value,) = await wiring.reader.one(tenant, user)
    ids = membership_at(value, max(wiring.clock.now_us(), clock), live).segment_ids
    since = entered_at(value or b"")
    async with wiring.database.begin() as work:
        names = await work.segments.names(tenant, ids)
    counts = await count_members(wiring.redis, wiring.settings.partitions, tenant, sorted(names))
    return JsonAnswer(
        [
            {
                "segment_id": segment_id,
                "segment_name": name,
                "member_count": counts[segment_id],
                "computed_at": text_of_us(since[segment_id]),
            }
            for segment_id, name in sorted(names.items())
        ]
    )


@router.get(
    "/api/explorer/users/{user_id}/segments/{segment_id:id}/explain/",
    response_model=list[schemas.ExplainedCondition] | schemas.Explanation,
)
async def explain_membership(
    wiring: WiringOf,
    caller: CallerOf,
    user_id: str,
    segment_id: int,
    verbose: Annotated[bool, Query(description="an object with the whole answer and its evidence")] = False,
) -> Response:
    """Why a user is in a segment or not: each condition of the active version, in the order written.

    A user without events is in no segment: every condition says so. A segment without an active version: 409.
    """
    user = _user(user_id)
    async with wiring.database.begin() as work:
        segment = await find(work, caller, segment_id)
    if segment.active_version is None:
        raise Conflict("the segment has no active version: compute it first")
    said = await wiring.questions.explain(caller.tenant, user, segment_id, evidence=verbose)
    async with wiring.database.begin() as work:
        # of the version explained: another one may have become active meanwhile
        saved = await work.segments.version(segment_id, said.version)
        definition = parse_definition(saved.definition)
        names = await work.segments.names(caller.tenant, references(definition))
    rows = rows_of(said, definition, names)
    return JsonAnswer(verbose_of(said, rows) if verbose else rows)


@router.post("/api/explorer/sandbox/publish/", response_model=schemas.TriedEvent, openapi_extra=_EVENT_BODY)
async def try_event(request: Request, wiring: WiringOf, caller: CallerOf) -> Response:
    """Which segments the event's user would enter and exit, if it came now. Nothing is stored."""
    tenant = caller.tenant
    try:
        event = decode_track(await request.body())
        value = event_value(event, tenant, wiring.clock.now_us())
    except InvalidEvent as invalid:
        raise refusal(invalid) from None
    said = await wiring.questions.try_event(tenant, event.user_id, value)
    async with wiring.database.begin() as work:
        names = await work.segments.names(tenant, [*said.entered, *said.exited])

    def named(segment_ids: list[int]) -> list[dict[str, Any]]:
        # one that has been deleted has no name
        return [{"id": each, "name": names[each]} for each in segment_ids if each in names]

    return JsonAnswer(
        {
            "published": said.counted,
            "entered": named(said.entered),
            "exited": named(said.exited),
            "unchanged_count": said.unchanged,
            "as_of": text_of_us(said.as_of),
        }
    )


def _user(segment_of_path: str) -> str:
    """The user id in a path, which comes as it was sent, with its escapes."""
    try:
        user_id = unquote_to_bytes(segment_of_path.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise Invalid({"user_id": ["is not valid UTF-8"]}) from None
    if len(user_id) > MAX_USER_ID_CHARS or "\0" in user_id:
        raise Invalid({"user_id": [f"must have 1 to {MAX_USER_ID_CHARS} characters, none of them U+0000"]})
    return user_id
