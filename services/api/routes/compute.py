"""/api/segments/<id>/compute/: make the newest version the active one."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from services.api import schemas
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of
from services.api.scopes import Scope, needs
from services.api.use_cases import compute as use_cases
from services.api.use_cases.segments import find
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["segments"])


@router.post("/api/segments/{segment_id:id}/compute/", status_code=202, response_model=schemas.Queued)
@needs(Scope.WRITE)
async def start_compute(wiring: WiringOf, caller: CallerOf, segment_id: int) -> Response:
    """Begin to compute the newest version; the active one keeps serving until all partitions are ready.

    A version counts the events that arrive after its compute began. Computing the active one again keeps its counts.
    """
    async with wiring.database.begin(caller.tenant) as work:
        await use_cases.start(work, caller, segment_id)
    wiring.wake_relay()
    return JsonAnswer({"status": "queued"}, 202)


@router.get("/api/segments/{segment_id:id}/compute/", response_model=schemas.Compute)
@needs(Scope.READ)
async def get_compute(wiring: WiringOf, caller: CallerOf, segment_id: int) -> Response:
    """How far the last compute has come."""
    partitions = wiring.settings.partitions
    async with wiring.database.begin(caller.tenant) as work:
        segment = await find(work, caller, segment_id)
        state = await use_cases.state(work, segment, partitions)
    return JsonAnswer(_answer(state, partitions))


def _answer(state: use_cases.ComputeState, partitions: int) -> dict[str, Any]:
    segment = state.segment
    return {
        "status": segment.status,
        "version": segment.compute_version,
        "partitions_done": state.partitions_done,
        "partitions": partitions,
        "started_at": text_of(segment.compute_started_at),
        "finished_at": text_of(segment.compute_finished_at),
        "error": segment.compute_error,
    }
