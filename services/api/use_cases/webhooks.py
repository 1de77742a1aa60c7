"""Making, changing and trying webhooks, and telling them of a compute."""

from typing import Any, NamedTuple

from sqlalchemy import func

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.errors import Conflict, Invalid, NotFound
from services.api.instants import text_of
from services.api.repository.segments import SegmentRow
from services.api.repository.webhooks import WebhookRow
from services.api.webhooks import payloads
from services.api.webhooks.signatures import fault_of_secret, new_secret

MAX_WEBHOOKS = 50
"""Of one tenant."""


class WebhookChange(NamedTuple):
    """What a request says about a webhook: the fields that it gives, checked one by one.

    `feed_end`: where to begin in the feed of membership changes, for one that has not followed them so far.
    """

    given: dict[str, Any]
    feed_end: int | None


async def find(work: UnitOfWork, caller: Caller, webhook_id: int, *, lock: bool = False) -> WebhookRow:
    """The caller's webhook. Raises NotFound for an unknown and for another tenant's one."""
    webhook = await work.webhooks.get(caller.tenant, webhook_id, lock=lock)
    if webhook is None:
        raise NotFound
    return webhook


async def create(work: UnitOfWork, caller: Caller, change: WebhookChange) -> WebhookRow:
    """A new webhook, with a secret of our own unless one is given. Raises Invalid, Conflict."""
    await work.tenants.lock(caller.tenant)
    if await work.webhooks.count(caller.tenant) >= MAX_WEBHOOKS:
        raise Conflict(f"there are {MAX_WEBHOOKS} webhooks already")
    values: dict[str, Any] = {
        "description": "",
        "is_active": True,
        "events": [payloads.RECOMPUTED],
        "secret": None,  # made below # nosec B105
        **change.given,
    }
    await _check_segments(work, caller, values.get("segment_ids"))
    values["secret"] = _secret(values["secret"])
    values["position"] = change.feed_end if payloads.CHANGED in values["events"] else None
    return await work.webhooks.create(caller.tenant, **values)


async def change(work: UnitOfWork, caller: Caller, webhook_id: int, change: WebhookChange) -> WebhookRow:
    """Change what the request names; `secret: null` makes a new one. Raises NotFound, Invalid.

    One that becomes active again goes on where it stood: with what is pending, and in the feed.
    """
    webhook = await find(work, caller, webhook_id, lock=True)
    values = dict(change.given)
    known = webhook.segment_ids or []
    await _check_segments(work, caller, [each for each in values.get("segment_ids") or [] if each not in known])
    if "secret" in values:
        values["secret"] = _secret(values["secret"])
    if "events" in values:
        follows = payloads.CHANGED in values["events"]
        values["position"] = (change.feed_end if webhook.position is None else webhook.position) if follows else None
    if "is_active" in values:
        values["disabled_reason"] = None
        if values["is_active"] and not webhook.is_active:
            await work.deliveries.revive(webhook.id)
    if values:
        await work.webhooks.change(webhook.id, **values, updated_at=func.now())
    return await find(work, caller, webhook_id)


async def delete(work: UnitOfWork, caller: Caller, webhook_id: int) -> None:
    """Remove a webhook and all its deliveries, sent or not. Raises NotFound."""
    webhook = await find(work, caller, webhook_id, lock=True)
    await work.webhooks.delete(webhook.id)


async def tell_recomputed(work: UnitOfWork, segment: SegmentRow) -> None:
    """Store `segment.recomputed` for all who want it: in the transaction that ends the compute, so once."""
    wanting = await work.webhooks.wanting(segment.tenant_id, payloads.RECOMPUTED, segment.id)
    if not wanting:
        return
    slug = await work.tenants.slug(segment.tenant_id)
    body = payloads.recomputed(slug, segment.id, segment.name, text_of(segment.last_computed_at))
    for webhook_id in wanting:
        await work.deliveries.add(webhook_id, payloads.RECOMPUTED, [body])


def _secret(given: str | None) -> str:
    if given is None:
        return new_secret()
    if fault := fault_of_secret(given):
        raise Invalid({"secret": [fault]})
    return given


async def _check_segments(work: UnitOfWork, caller: Caller, segment_ids: list[int] | None) -> None:
    missing = set(segment_ids or ()) - set(await work.segments.names(caller.tenant, segment_ids or ()))
    if missing:
        raise Invalid({"segment_ids": [f"segment {each} does not exist" for each in sorted(missing)]})
