"""/api/segments/preview/ and /api/segments/<id>/estimate/: how many members, counted in the history."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api import history_schemas as schemas
from services.api.definitions import read_definition, refuse
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import given_time, text_of_us
from services.api.scopes import Scope, needs
from services.api.use_cases import previews as use_cases
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["segments"])


@router.post("/api/segments/preview/", response_model=schemas.Preview)
@needs(Scope.READ)
async def preview(request: Request, wiring: WiringOf, caller: CallerOf, body: schemas.PreviewBody) -> Response:
    """Count the members of a definition in all events, exactly, at an instant. Nothing is saved.

    Segments it refers to count by their active versions; one without has no members. 503 with Retry-After while too
    many previews run, and when one needs more time or memory than is allowed.
    """
    as_of_us = None if body.as_of is None else given_time("as_of", body.as_of)
    given = read_definition(body.definition)
    if not given.references:
        refuse(given.faults)  # nothing to be found of it in the database
    async with wiring.database.begin(caller.tenant) as work:
        question = await use_cases.of_given(work, caller, given)
    found = await wiring.history.ask(
        "preview",
        request.receive,
        lambda opened: use_cases.preview(question, opened, body.limit, as_of_us),
        is_dated=True,
    )
    return JsonAnswer(
        {
            "matched_users": found.matched_users,
            "sample_user_ids": found.sample_user_ids,
            "sql": found.sql,
            "as_of": text_of_us(found.as_of_us),
            "scanned_events": found.scanned_events,
            "elapsed_ms": found.elapsed_ms,
        }
    )


@router.post("/api/segments/{segment_id:id}/estimate/", response_model=schemas.Estimate)
@needs(Scope.READ)
async def estimate(request: Request, wiring: WiringOf, caller: CallerOf, segment_id: int) -> Response:
    """Estimate the members of a segment's newest version, by looking at some 20,000 users. 400 without a definition.

    As for a preview otherwise.
    """
    async with wiring.database.begin(caller.tenant) as work:
        question = await use_cases.of_segment(work, caller, segment_id)
    found = await wiring.history.ask(
        "estimate", request.receive, lambda opened: use_cases.estimate(question, opened), is_dated=True
    )
    return JsonAnswer(
        {
            "estimated_users": found.estimated_users,
            "low": found.low,
            "high": found.high,
            "sample_rate": found.sample_rate,
            "as_of": text_of_us(found.as_of_us),
        }
    )
