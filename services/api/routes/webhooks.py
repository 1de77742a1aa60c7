"""/api/webhooks/: who is told over HTTP, what was sent to them, and a try."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from services.api import webhook_schemas as schemas
from services.api.auth import Caller
from services.api.errors import Invalid
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of, text_of_us
from services.api.pages import PageOf
from services.api.repository.webhook_deliveries import DeliveryRow, new_message_id
from services.api.repository.webhooks import WebhookRow
from services.api.scopes import Scope, needs
from services.api.use_cases import webhooks as use_cases
from services.api.webhooks import payloads
from services.api.wiring import Wiring, WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["webhooks"])

_FIELDS = ("url", "secret", "description", "is_active", "events", "segment_ids")


@router.get("/api/webhooks/", response_model=schemas.WebhookPage)
@needs(Scope.READ)
async def list_webhooks(wiring: WiringOf, caller: CallerOf, page: PageOf) -> Response:
    """The caller's webhooks, by id."""
    async with wiring.database.begin(caller.tenant) as work:
        count = await work.webhooks.count(caller.tenant)
        rows = await work.webhooks.page(caller.tenant, page.offset, page.limit)
    return JsonAnswer(page.answer(count, [_answer(row) for row in rows]))


@router.post("/api/webhooks/", status_code=201, response_model=schemas.SavedWebhook)
@needs(Scope.WRITE)
async def create_webhook(wiring: WiringOf, caller: CallerOf, body: schemas.NewWebhookBody) -> Response:
    """A new webhook. The answer has its secret, and no other answer has. Membership changes are those from now on."""
    change = await _change(wiring, body)
    async with wiring.database.begin(caller.tenant) as work:
        webhook = await use_cases.create(work, caller, change)
    return JsonAnswer(_answer(webhook) | {"secret": webhook.secret}, 201)


@router.get("/api/webhooks/{webhook_id:id}/", response_model=schemas.Webhook)
@needs(Scope.READ)
async def get_webhook(wiring: WiringOf, caller: CallerOf, webhook_id: int) -> Response:
    """One webhook."""
    async with wiring.database.begin(caller.tenant) as work:
        return JsonAnswer(_answer(await use_cases.find(work, caller, webhook_id)))


@router.patch("/api/webhooks/{webhook_id:id}/", response_model=schemas.SavedWebhook)
@needs(Scope.WRITE)
async def change_webhook(
    wiring: WiringOf, caller: CallerOf, webhook_id: int, body: schemas.WebhookChangeBody
) -> Response:
    """Change some fields. `secret: null` makes a new secret, which the answer has.

    `is_active: true` after `false` goes on where it stood: with what was not delivered, and the changes since.
    """
    return await _changed(wiring, caller, webhook_id, body)


@router.put("/api/webhooks/{webhook_id:id}/", response_model=schemas.SavedWebhook)
@needs(Scope.WRITE)
async def put_webhook(wiring: WiringOf, caller: CallerOf, webhook_id: int, body: schemas.WebhookChangeBody) -> Response:
    """As PATCH: fields that are left out stay."""
    return await _changed(wiring, caller, webhook_id, body)


@router.delete("/api/webhooks/{webhook_id:id}/", status_code=204, response_class=Response)
@needs(Scope.WRITE)
async def delete_webhook(wiring: WiringOf, caller: CallerOf, webhook_id: int) -> Response:
    """Remove a webhook; what was not delivered to it is not delivered any more."""
    async with wiring.database.begin(caller.tenant) as work:
        await use_cases.delete(work, caller, webhook_id)
    return Response(status_code=204)


@router.get("/api/webhooks/{webhook_id:id}/deliveries/", response_model=schemas.DeliveryPage)
@needs(Scope.READ)
async def list_deliveries(wiring: WiringOf, caller: CallerOf, webhook_id: int, page: PageOf) -> Response:
    """What was sent, or is to be sent, newest first; what has ended is kept for some days."""
    async with wiring.database.begin(caller.tenant) as work:
        await use_cases.find(work, caller, webhook_id)
        count, rows = await work.deliveries.page(webhook_id, page.offset, page.limit)
    return JsonAnswer(page.answer(count, [_delivery(row) for row in rows]))


@router.post("/api/webhooks/{webhook_id:id}/test/", response_model=schemas.Delivery)
@needs(Scope.WRITE)
async def test_webhook(wiring: WiringOf, caller: CallerOf, webhook_id: int) -> Response:
    """Send `webhook.test` now and once, active or not; the answer says what came of it."""
    async with wiring.database.begin(caller.tenant) as work:
        webhook = await use_cases.find(work, caller, webhook_id)
    body = payloads.test(caller.slug, webhook.id, text_of_us(wiring.clock.now_us()))
    message_id = new_message_id()
    status, error = answer = await wiring.webhook_client.post(webhook.url, webhook.secret, message_id, body)
    async with wiring.database.begin(caller.tenant) as work:
        await use_cases.find(work, caller, webhook_id, lock=True)
        delivery = await work.deliveries.add_finished(
            webhook_id,
            message_id=message_id,
            event=payloads.TEST,
            status="delivered" if answer.is_taken else "failed",
            last_status=status,
            last_error=error,
        )
    return JsonAnswer(_delivery(delivery))


async def _changed(wiring: Wiring, caller: Caller, webhook_id: int, body: schemas.WebhookChangeBody) -> Response:
    change = await _change(wiring, body)
    async with wiring.database.begin(caller.tenant) as work:
        webhook = await use_cases.change(work, caller, webhook_id, change)
    shown = {"secret": webhook.secret} if "secret" in change.given else {}
    return JsonAnswer(_answer(webhook) | shown)


async def _change(wiring: Wiring, body: schemas.WebhookChangeBody) -> use_cases.WebhookChange:
    given: dict[str, Any] = {field: getattr(body, field) for field in _FIELDS if field in body.model_fields_set}
    for field in ("events", "segment_ids"):
        if given.get(field):
            given[field] = list(dict.fromkeys(given[field]))
    if "url" in given and (fault := await wiring.destinations.fault(given["url"])):
        raise Invalid({"url": [fault]})
    follows = payloads.CHANGED in given.get("events", ())
    return use_cases.WebhookChange(given, await wiring.feed.end() if follows else None)


def _answer(webhook: WebhookRow) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "description": webhook.description,
        "is_active": webhook.is_active,
        "disabled_reason": webhook.disabled_reason,
        "events": webhook.events,
        "segment_ids": webhook.segment_ids,
        "last_delivered_at": text_of(webhook.last_delivered_at),
        "created_at": text_of(webhook.created_at),
        "updated_at": text_of(webhook.updated_at),
    }


def _delivery(delivery: DeliveryRow) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "event": delivery.event,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "next_attempt_at": text_of(delivery.next_attempt_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": text_of(delivery.created_at),
        "finished_at": text_of(delivery.finished_at),
    }
