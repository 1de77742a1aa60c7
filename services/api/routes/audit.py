"""/api/analytics/audit/: whether live answers are those of history."""

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of, text_of_us
from services.api.scopes import Scope, needs
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["analytics"])


class AuditMismatch(BaseModel):
    """A live answer that was not that of history, both of the events below `next_offset`, as of `as_of`."""

    user_id: str
    segment_id: int
    version: int
    live: bool = Field(description="whether lookups said that the user is a member")
    by_history: bool = Field(description="whether history says so")
    as_of: str
    log_epoch: str
    partition: int
    next_offset: int
    found_at: str


class Audit(BaseModel):
    """What the audit has found since its first round; `since` and `last_round_at` are null before it.

    `checked`: live answers, of one user on one segment each, that were held against history; `skipped`: those that
    could not be. `rate`: mismatches of those checked; promised is 0. `latest`: the newest mismatches, 100 at most.
    """

    checked: int
    mismatches: int
    rate: float
    since: str | None
    rounds: int
    skipped: int
    last_round_at: str | None
    latest: list[AuditMismatch]


@router.get("/api/analytics/audit/", response_model=Audit)
@needs(Scope.READ)
async def get_audit(wiring: WiringOf, caller: CallerOf) -> Response:
    """How many live answers were held against history, and those that differed. The promise is 0."""
    async with wiring.database.begin(caller.tenant) as work:
        found = await work.audits.found(caller.tenant)
        latest = await work.audits.mismatches(caller.tenant)
    checked, mismatches = (found.checked, found.mismatches) if found else (0, 0)
    return JsonAnswer(
        {
            "checked": checked,
            "mismatches": mismatches,
            "rate": mismatches / checked if checked else 0.0,
            "since": text_of(found.since) if found else None,
            "rounds": found.rounds if found else 0,
            "skipped": found.skipped if found else 0,
            "last_round_at": text_of(found.last_round_at) if found else None,
            "latest": [
                {
                    "user_id": each.user_id,
                    "segment_id": each.segment_id,
                    "version": each.version,
                    "live": each.live,
                    "by_history": each.by_history,
                    "as_of": text_of_us(each.as_of_us),
                    "log_epoch": each.log_epoch,
                    "partition": each.partition,
                    "next_offset": each.next_offset,
                    "found_at": text_of(found_at),
                }
                for each, found_at in latest
            ],
        }
    )
