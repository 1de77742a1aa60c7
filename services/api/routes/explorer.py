"""/api/explorer/: looking into one user, and trying an event without storing it."""

from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.api import history_schemas, schemas
from services.api.errors import Conflict, Invalid
from services.api.explanations import rows_of, verbose_of
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.hot.ingestion import event_value, refusal
from services.api.hot.lookups import MAX_USER_ID_CHARS
from services.api.hot.openapi import EVENT
from services.api.instants import given_time, text_of_us
from services.api.members import count_members
from services.api.membership import entered_at, membership_at
from services.api.scopes import Scope, needs
from services.api.use_cases import users
from services.api.use_cases.segments import find
from services.api.wiring import WiringOf
from shared.contracts.event import decode_track
from shared.domain.condition import references
from shared.domain.definition import parse_definition
from shared.domain.errors import InvalidEvent
from shared.domain.reader import MAX_EVENT_TYPE
from shared.history.schema import CHANGES

router = APIRouter(route_class=GuardedRoute, tags=["explorer"])

_NO_NUL = r"^[^\x00]*$"
_Limit = Annotated[int, Query(ge=1, le=1000)]
_EVENT_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": EVENT}}}}


@router.get("/api/explorer/users/", response_model=history_schemas.UserList)
@needs(Scope.READ)
async def search_users(
    request: Request,
    wiring: WiringOf,
    caller: CallerOf,
    q: Annotated[str, Query(max_length=MAX_USER_ID_CHARS, pattern=_NO_NUL)] = "",
    limit: _Limit = 50,
) -> Response:
    """The users whose id contains `q`, in whatever case, those seen last first; from the archived events."""
    count, found = await wiring.history.ask(
        "users", request.receive, lambda opened: users.search(opened, caller.tenant, q, limit)
    )
    results = [
        {
            "user_id": user.user_id,
            "event_count": user.event_count,
            "first_seen": text_of_us(user.first_seen_us),
            "last_seen": text_of_us(user.last_seen_us),
        }
        for user in found
    ]
    return JsonAnswer({"count": count, "results": results})


@router.get("/api/explorer/users/{user_id}/", response_model=history_schemas.UserProfile)
@needs(Scope.READ)
async def get_user(request: Request, wiring: WiringOf, caller: CallerOf, user_id: str) -> Response:
    """One user, from the archived events; 404 while there is none."""
    user = _user(user_id)
    found = await wiring.history.ask("user", request.receive, lambda opened: users.profile(opened, caller.tenant, user))
    return JsonAnswer(
        {
            "user_id": user,
            "event_count": found.event_count,
            "event_type_count": found.event_type_count,
            "first_seen": text_of_us(found.first_seen_us),
            "last_seen": text_of_us(found.last_seen_us),
            "properties": _json(found.properties or "{}"),
        }
    )


@router.get("/api/explorer/users/{user_id}/events/", response_model=history_schemas.PastEvents)
@needs(Scope.READ)
async def list_user_events(
    request: Request,
    wiring: WiringOf,
    caller: CallerOf,
    user_id: str,
    event_type: Annotated[str | None, Query(min_length=1, max_length=MAX_EVENT_TYPE, pattern=_NO_NUL)] = None,
    since: str | None = None,
    limit: _Limit = 50,
) -> Response:
    """A user's archived events, newest first: those that occurred at `since` or later. 404 while there is none."""
    user = _user(user_id)
    wanted = users.EventsWanted(event_type, None if since is None else given_time("since", since))
    count, found = await wiring.history.ask(
        "events", request.receive, lambda opened: users.events(opened, caller.tenant, user, wanted, limit)
    )
    results = [
        {
            "event_type": event.event_type,
            "occurred_at": text_of_us(event.occurred_at_us),
            "payload": _json(event.payload),
        }
        for event in found
    ]
    return JsonAnswer({"count": count, "results": results})


@router.get("/api/explorer/users/{user_id}/history/", response_model=history_schemas.UserHistory)
@needs(Scope.READ)
async def list_user_changes(
    request: Request, wiring: WiringOf, caller: CallerOf, user_id: str, limit: _Limit = 50
) -> Response:
    """Which segments a user entered and exited, the newest change first; from the archived changes."""
    user = _user(user_id)
    count, found = await wiring.history.ask(
        "history", request.receive, lambda opened: users.changes(opened, caller.tenant, user, limit), of=CHANGES
    )
    async with wiring.database.begin(caller.tenant) as work:
        names = await work.segments.names(caller.tenant, {change.segment_id for change in found})
    results = [
        {
            "segment_id": change.segment_id,
            "segment_name": names.get(change.segment_id),
            "change": change.change,
            "at": text_of_us(change.at_us),
            "reason": change.reason,
            "version": change.version,
        }
        for change in found
    ]
    return JsonAnswer({"count": count, "results": results})


@router.get("/api/explorer/users/{user_id}/segments/", response_model=list[schemas.UserSegment])
@needs(Scope.READ)
async def list_user_segments(wiring: WiringOf, caller: CallerOf, user_id: str) -> Response:
    """The segments that a user is in now, since when, and how many members each has."""
    tenant, user = caller.tenant, _user(user_id)
    live = await wiring.live.of(tenant)
    clock, (value,) = await wiring.reader.one(tenant, user)
    ids = membership_at(value, max(wiring.clock.now_us(), clock), live).segment_ids
    since = entered_at(value or b"")
    async with wiring.database.begin(caller.tenant) as work:
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
@needs(Scope.READ)
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
    async with wiring.database.begin(caller.tenant) as work:
        segment = await find(work, caller, segment_id)
    if segment.active_version is None:
        raise Conflict("the segment has no active version: compute it first")
    said = await wiring.questions.explain(caller.tenant, user, segment_id, evidence=verbose)
    async with wiring.database.begin(caller.tenant) as work:
        # of the version explained: another one may have become active meanwhile
        saved = await work.segments.version(segment_id, said.version)
        definition = parse_definition(saved.definition)
        names = await work.segments.names(caller.tenant, references(definition))
    rows = rows_of(said, definition, names)
    return JsonAnswer(verbose_of(said, rows) if verbose else rows)


@router.post("/api/explorer/sandbox/publish/", response_model=schemas.TriedEvent, openapi_extra=_EVENT_BODY)
@needs(Scope.READ)
async def try_event(request: Request, wiring: WiringOf, caller: CallerOf) -> Response:
    """Which segments the event's user would enter and exit, if it came now. Nothing is stored."""
    tenant = caller.tenant
    try:
        event = decode_track(await request.body())
        value = event_value(event, tenant, wiring.clock.now_us())
    except InvalidEvent as invalid:
        raise refusal(invalid) from None
    said = await wiring.questions.try_event(tenant, event.user_id, value)
    async with wiring.database.begin(caller.tenant) as work:
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


def _json(text: str) -> msgspec.Raw:
    """JSON as it is stored, to be written as it is."""
    return msgspec.Raw(text.encode())


def _user(segment_of_path: str) -> str:
    """The user id in a path, which comes as it was sent, with its escapes."""
    try:
        user_id = unquote_to_bytes(segment_of_path.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise Invalid({"user_id": ["is not valid UTF-8"]}) from None
    if len(user_id) > MAX_USER_ID_CHARS or "\0" in user_id:
        raise Invalid({"user_id": [f"must have 1 to {MAX_USER_ID_CHARS} characters, none of them U+0000"]})
    return user_id
