"""The bodies of what is answered from the event history."""

from typing import Any

from pydantic import BaseModel, Field

from services.api.schemas import RequestBody

MAX_SAMPLE = 1000


class PreviewBody(RequestBody):
    """Whose members are counted, and when."""

    definition: Any = Field(json_schema_extra={"type": "object"})
    limit: int = Field(default=10, ge=1, le=MAX_SAMPLE)
    """So many ids at most."""
    as_of: str | None = None
    """A time, not in the future. Left out: as late as the events are known."""


class Preview(BaseModel):
    """The members at `as_of`: how many, the first of their ids, and the statement that found them.

    as_of: asked for, or earlier if later events are not archived yet. scanned_events: rows looked at.
    """

    matched_users: int
    sample_user_ids: list[str]
    sql: str
    as_of: str
    scanned_events: int
    elapsed_ms: float


class Estimate(BaseModel):
    """About so many members at `as_of`: with 95 % between `low` and `high`. Exact if `sample_rate` is 1."""

    estimated_users: int
    low: int
    high: int
    sample_rate: float
    as_of: str


class UserSummary(BaseModel):
    """A user, with the number and the span of the events that count."""

    user_id: str
    event_count: int
    first_seen: str
    last_seen: str


class UserList(BaseModel):
    """Users, those seen last first; `count`: how many there are in all."""

    count: int
    results: list[UserSummary]


class UserProfile(UserSummary):
    """A user. `properties`: the payload of the newest `context_identified`."""

    event_type_count: int
    properties: dict[str, Any]


class PastEvent(BaseModel):
    """An event of a user. `occurred_at` is never later than its receipt."""

    event_type: str
    occurred_at: str
    payload: dict[str, Any]


class PastEvents(BaseModel):
    """Events of a user, newest first; `count`: how many there are in all."""

    count: int
    results: list[PastEvent]
