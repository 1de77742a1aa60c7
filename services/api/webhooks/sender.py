"""The sender: attempts what is due, several webhooks at once, one delivery of each at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from services.api.database import Database, DatabaseUnavailable
from services.api.repository.webhook_deliveries import Claimed
from services.api.waiting import woken
from services.api.webhooks import payloads
from services.api.webhooks.client import WebhookClient
from services.api.webhooks.outcomes import note
from services.api.webhooks.rounds import rounds
from shared.runtime.crash_points import crash_point
from shared.runtime.metrics import API_WEBHOOK_ATTEMPTS

_AT_ONCE = 100
_POLL_S = 0.25
_LEASE_BEYOND_S = 5.0
"""What noting the outcome may take after the longest attempt."""

_log = logging.getLogger(__name__)

CountMembers = Callable[[int, int], Awaitable[int | None]]
"""Of tenant and segment: the number of members, None while it cannot be had."""


class WebhookSender:
    """Runs in one process at a time (services.api.leadership).

    Claim -> complete the body -> send -> note. Whoever dies in between, the claim's lease ends, and the delivery is
    sent again with the same id and the same bytes. So it is for a moment when two believe to lead.
    """

    def __init__(
        self,
        database: Database,
        client: WebhookClient,
        count_members: CountMembers,
        delays_s: Sequence[float],
        timeout_s: float,
    ) -> None:
        """`delays_s`: from each failed attempt to the next; `timeout_s`: the longest attempt of the client."""
        self._database, self._client, self._count_members = database, client, count_members
        self._delays_s, self._lease_s = tuple(delays_s), timeout_s + _LEASE_BEYOND_S
        self._busy: set[int] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Deliveries were stored: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, which cuts off the attempts under way: they are made again."""
        async with asyncio.TaskGroup() as attempts:
            await rounds("sending webhooks", lambda: self._begin(attempts))

    async def _begin(self, attempts: asyncio.TaskGroup) -> float:
        self._wake.clear()
        free = _AT_ONCE - len(self._busy)
        async with self._database.begin_for_all() as work:
            claimed = await work.deliveries.claim(self._busy, free, self._lease_s)
        for each in claimed:
            crash_point("after_webhook_claim")
            self._busy.add(each.webhook_id)
            attempts.create_task(self._attempt(each))
        if not claimed:
            await woken(self._wake, _POLL_S)
        return 0

    async def _attempt(self, claimed: Claimed) -> None:
        try:
            body = await self._body(claimed)
            if body is not None:
                answer = await self._client.post(claimed.url, claimed.secret, claimed.message_id, body)
                crash_point("after_webhook_sent")
                async with self._database.begin_for_all() as work:
                    outcome = await note(work, claimed, answer, self._delays_s)
                API_WEBHOOK_ATTEMPTS.labels(outcome=outcome).inc()
        except DatabaseUnavailable as outage:
            _log.warning("webhook %d: what was sent is sent again: PostgreSQL: %s", claimed.webhook_id, outage)
        except Exception:  # noqa: BLE001 - as in rounds; it is made again when the lease is over
            _log.exception("webhook %d: an attempt failed", claimed.webhook_id)
        finally:
            self._busy.discard(claimed.webhook_id)
            self._wake.set()

    async def _body(self, claimed: Claimed) -> str | None:
        """What to send, stored before it is sent; None while members cannot be counted: later, then."""
        segment_id = payloads.uncounted_segment(claimed.event, claimed.body)
        if segment_id is None:
            return claimed.body
        count = await self._count_members(claimed.tenant, segment_id)
        if count is None:
            return None
        body = payloads.with_count(claimed.body, count)
        async with self._database.begin_for_all() as work:
            await work.deliveries.complete(claimed.id, body)
        return body
