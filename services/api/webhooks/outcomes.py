"""What follows from an attempt: the delivery is done, or made again later, or the webhook is set inactive."""

from collections.abc import Sequence
from typing import Literal

from services.api.database import UnitOfWork
from services.api.repository.webhook_deliveries import Claimed
from services.api.webhooks.client import GONE, Answer

Outcome = Literal["delivered", "failed", "given_up", "disabled"]


async def note(work: UnitOfWork, claimed: Claimed, answer: Answer, delays_s: Sequence[float]) -> Outcome:
    """Store what came of an attempt. `delays_s`: from each failed attempt to the next one.

    A delivery is given up after the last of them only while the receiver takes others; if it has taken none since the
    first attempt, the webhook is set inactive and the delivery stays pending, so that nothing is lost.
    """
    exists, last_delivered_at = await work.webhooks.lock(claimed.webhook_id)
    if not exists:
        return "given_up"
    if answer.is_taken:
        if await work.deliveries.finish(claimed.id, "delivered", *answer):
            await work.webhooks.delivered(claimed.webhook_id)
        return "delivered"
    if answer.status == GONE:
        return await _disable(work, claimed, answer, "the receiver answered 410 Gone")
    if claimed.attempts < len(delays_s):
        await work.deliveries.put_off(claimed, delays_s[claimed.attempts], *answer)
        return "failed"
    if last_delivered_at is None or last_delivered_at < claimed.first_attempt_at:
        attempts = claimed.attempts + 1
        return await _disable(work, claimed, answer, f"a delivery failed {attempts} times, and no other was taken")
    await work.deliveries.finish(claimed.id, "failed", *answer)
    return "given_up"


async def _disable(work: UnitOfWork, claimed: Claimed, answer: Answer, reason: str) -> Outcome:
    await work.deliveries.put_off(claimed, 0, *answer)
    await work.webhooks.disable(claimed.webhook_id, reason)
    return "disabled"
