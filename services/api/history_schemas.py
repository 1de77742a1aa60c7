"""The bodies of what is answered from the event history."""

from typing import Any, Literal

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


class SegmentChange(BaseModel):
    """A user entered or exited a segment, by this version of it. `id` is that of the change wherever it is told."""

    position: int = Field(description="its place among all changes; a cursor")
    id: str
    user_id: str
    change: Literal["entered", "exited"]
    at: str
    reason: Literal["event", "time", "computed", "deactivated", "deleted"]
    version: int


class ChangeList(BaseModel):
    """Changes of a segment in order. `next_after`: the cursor to go on with, at the end too."""

    results: list[SegmentChange]
    next_after: str
    has_more: bool


class UserChange(BaseModel):
    """A user entered or exited a segment, whose name is null when it was deleted."""

    segment_id: int
    segment_name: str | None
    change: Literal["entered", "exited"]
    at: str
    reason: Literal["event", "time", "computed", "deactivated", "deleted"]
    version: int


class UserHistory(BaseModel):
    """The changes of a user, the newest first; `count`: how many there are in all."""

    count: int
    results: list[UserChange]
