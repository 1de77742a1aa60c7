"""The bodies of /api/webhooks/."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from services.api.schemas import Description, Page, RequestBody
from services.api.webhooks.destinations import MAX_URL_LENGTH

Event = Literal["segment.recomputed", "membership.changed"]
Secret = Annotated[str, StringConstraints(min_length=16, max_length=256, pattern=r"^[\x21-\x7e]+$")]
_MAX_ID = (1 << 63) - 1


class WebhookChangeBody(RequestBody):
    """Any of the fields that a caller may set.

    `url`: https, to a public address. `secret`: 16 to 256 characters; without one, or null, it is made. `segment_ids`:
    of which segments, null for all. `events`: `segment.recomputed` alone unless said otherwise.
    """

    url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)] = Field(
        default="", validate_default=False
    )
    secret: Secret | None = None
    description: Description = ""
    is_active: bool = True
    events: list[Event] = Field(default=["segment.recomputed"], min_length=1)
    segment_ids: list[Annotated[int, Field(ge=1, le=_MAX_ID)]] | None = Field(
        default=None, min_length=1, max_length=1_000
    )


class NewWebhookBody(WebhookChangeBody):
    """A new webhook."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)] = Field()


class Webhook(BaseModel):
    """A webhook. `disabled_reason`: why we have set it inactive, null unless we have."""

    id: int
    url: str
    description: str
    is_active: bool
    disabled_reason: str | None
    events: list[Event]
    segment_ids: list[int] | None
    last_delivered_at: str | None
    created_at: str
    updated_at: str


class SavedWebhook(Webhook):
    """A webhook after a change. `secret` is there if this request has set it, and never again."""

    secret: str | None = None


class Delivery(BaseModel):
    """One message for a webhook, and what came of it so far; `message_id` is the header webhook-id."""

    id: int
    message_id: str
    event: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    finished_at: str | None


class WebhookPage(Page):
    """A page of webhooks."""

    results: list[Webhook]


class DeliveryPage(Page):
    """A page of deliveries, newest first."""

    results: list[Delivery]
