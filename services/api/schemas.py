"""The bodies of the public API outside the hot paths, as pydantic checks requests and OpenAPI shows answers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SegmentType = Literal["rule", "ai", "lookalike"]
Status = Literal["draft", "computing", "computed", "failed"]
Format = Literal["parquet", "csv", "jsonl"]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Description = Annotated[str, StringConstraints(max_length=10_000)]


class RequestBody(BaseModel):
    """What every body of a request has in common."""

    # strict: "1" is no number and 1 no text; keys that we do not know are passed over, so that an answer of ours
    # can be sent back with a field changed
    model_config = ConfigDict(strict=True, extra="ignore")


class SegmentChangeBody(RequestBody):
    """Any of the fields that a caller may set."""

    name: Name = Field(default="", validate_default=False)
    tenant: int | str | None = None
    """Id or slug; must be the caller's."""
    segment_type: SegmentType = "rule"
    description: Description = ""
    # any JSON: the kernel says what is wrong with it, with the path
    definition: Any = Field(default=None, json_schema_extra={"type": "object"})
    is_active: bool = True


class NewSegmentBody(SegmentChangeBody):
    """A new segment."""

    name: Name = Field()


class ExportBody(RequestBody):
    """Which file is wished."""

    format: Format = "csv"


class Segment(BaseModel):
    """A segment. `member_count` is null while the membership store cannot be asked."""

    id: int
    name: str
    description: str
    tenant: int
    segment_type: SegmentType
    definition: dict[str, Any] | None
    version: int
    active_version: int | None
    is_active: bool
    status: Status
    status_detail: str
    member_count: int | None
    last_computed_at: str | None
    created_at: str
    updated_at: str


class DefinitionWarning(BaseModel):
    """Something worth knowing of a definition, never an error; `path` is a JSON path, `$` the whole definition."""

    path: str
    message: str


class SavedSegment(Segment):
    """A segment after a change. `warnings` are about the definition that the request gave."""

    warnings: list[DefinitionWarning]


class Version(BaseModel):
    """One saved definition of a segment."""

    version: int
    definition: dict[str, Any]
    created_at: str
    created_by: str
    active: bool


class Queued(BaseModel):
    """The compute begins."""

    status: Literal["queued"]


class Compute(BaseModel):
    """How far the last compute of a segment has come; `version` is null before the first."""

    status: Status
    version: int | None
    partitions_done: int
    partitions: int
    started_at: str | None
    finished_at: str | None
    error: str | None


class UserSegment(BaseModel):
    """A segment that a user is in, since `computed_at`; `member_count` is null while nobody can count."""

    segment_id: int
    segment_name: str
    member_count: int | None
    computed_at: str


class ExplainedCondition(BaseModel):
    """What one condition looked at (`actual_value`), compares it with (`threshold`), and says (`matches`).

    `at_least`: the true count may be higher. `next_change_at`: when time alone turns it, null for never. `path`: its
    place in the definition.
    """

    index: int
    type: str
    label: str
    actual_value: Any
    threshold: Any
    matches: bool
    path: str
    next_change_at: str | None
    at_least: bool


class KeptEvents(BaseModel):
    """One event, or `count` that are kept as one; the `value` of the property, the `steps` of the sequence that fit."""

    occurred_at: str
    count: int
    value: Any = None
    steps: list[int] | None = None


class Evidence(BaseModel):
    """The newest of the `kept` events that a condition has to go by; `reason`: why the answer is `approximate`."""

    index: int
    events: list[KeptEvents]
    kept: int
    approximate: bool
    reason: str | None


class Explanation(BaseModel):
    """Why a user is in a segment, or not, at `as_of`. A user who is not `known` is in no segment."""

    member: bool
    known: bool
    version: int
    as_of: str
    next_change_at: str | None
    conditions: list[ExplainedCondition]
    evidence: list[Evidence]


class SegmentName(BaseModel):
    """A segment by name."""

    id: int
    name: str


class TriedEvent(BaseModel):
    """The memberships that an event would turn. `published`: false if it would be dropped as a repeat."""

    published: bool
    entered: list[SegmentName]
    exited: list[SegmentName]
    unchanged_count: int
    as_of: str


class MemberSince(BaseModel):
    """A member, since `computed_at`."""

    user_id: str
    computed_at: str


class MembersPage(BaseModel):
    """Some members of a segment; `next_cursor` is null on the last page, `count` is of all."""

    results: list[MemberSince]
    next_cursor: str | None
    count: int


class ExportQueued(BaseModel):
    """The export is requested."""

    export_id: int
    id: int
    status: Literal["pending"]


class Export(BaseModel):
    """An export and how far it has come."""

    id: int
    export_id: int
    status: Literal["pending", "running", "complete", "failed"]
    format: Format
    row_count: int | None
    """Of a running one: so far."""
    download_url: str | None
    """Fetches the file without a key until `expires_at`; each answer has a new one."""
    expires_at: str | None
    as_of: str | None
    """The instant whose members the file has."""
    size: int | None
    """Bytes of the file."""
    sha256: str | None
    error: str | None
    detail: str | None
    """What a running one waits for."""


class Page(BaseModel):
    """What all pages of a list have."""

    count: int
    next: str | None
    previous: str | None


class SegmentPage(Page):
    """A page of segments."""

    results: list[Segment]


class VersionPage(Page):
    """A page of versions, newest first."""

    results: list[Version]


class ExportPage(Page):
    """A page of exports, newest first."""

    results: list[Export]
