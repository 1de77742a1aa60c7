"""Membership changes for webhooks: read from the feed in its order, and stored as deliveries."""

from collections import defaultdict
from collections.abc import Callable

from services.api.change_feed import ChangeFeed, FeedChange, Page
from services.api.database import Database
from services.api.instants import text_of_us
from services.api.repository.webhooks import Follower
from services.api.webhooks import payloads
from services.api.webhooks.rounds import rounds
from shared.runtime.crash_points import crash_point

MAX_CHANGES = 500
"""Of one delivery."""
MAX_PENDING = 100
"""A webhook for which so many deliveries wait stays where it is in the feed: what it lacks is kept there."""
_READ = 10 * MAX_CHANGES
_COLLECTED_S = 1.0
"""So long changes are collected for a delivery; nobody waits longer for one that is not full."""


class WebhookChanges:
    """Runs in one process at a time (services.api.leadership).

    A webhook's deliveries are stored with its new position, which must still be the one they were read from: so
    whoever dies, and when two believe to lead, each change is stored once for each webhook.
    """

    def __init__(self, database: Database, feed: ChangeFeed, stored: Callable[[], None]) -> None:
        """`stored` is called when there is something to send."""
        self._database, self._feed, self._stored = database, feed, stored

    async def run(self) -> None:
        """Until cancelled."""
        await rounds("storing membership changes for webhooks", self._once)

    async def _once(self) -> float:
        async with self._database.begin_for_all() as work:
            followers = await work.webhooks.followers()
        together: dict[tuple[int, int], list[Follower]] = defaultdict(list)
        for follower in followers:
            if follower.pending < MAX_PENDING:
                together[follower.tenant, follower.position].append(follower)
        is_behind = False
        for (tenant, position), group in together.items():
            page = await self._feed.page(position, _READ, tenant)
            is_behind |= len(page.changes) == _READ
            for follower in group:
                await self._store(follower, page)
        return 0 if is_behind else _COLLECTED_S

    async def _store(self, follower: Follower, page: Page) -> None:
        bodies, through = _bodies(follower, page)
        if through == follower.position:
            return
        async with self._database.begin_for_all() as work:
            if not await work.webhooks.advance(follower.id, follower.position, through):
                return
            if bodies:
                await work.deliveries.add(follower.id, payloads.CHANGED, bodies)
        crash_point("after_webhook_stored")
        if bodies:
            self._stored()


def _bodies(follower: Follower, page: Page) -> tuple[list[str], int]:
    """What is to be sent of a page, and up to which position that is all."""
    segments = follower.segment_ids
    wanted = [change for change in page.changes if segments is None or change.segment_id in segments]
    deliveries = [wanted[at : at + MAX_CHANGES] for at in range(0, len(wanted), MAX_CHANGES)]
    taken = deliveries[: MAX_PENDING - follower.pending]
    through = page.through if len(taken) == len(deliveries) else taken[-1][-1].position
    return [payloads.changed(follower.tenant_slug, [_said(change) for change in each]) for each in taken], through


def _said(change: FeedChange) -> dict[str, object]:
    return {
        "position": change.position,
        "id": change.id,
        "segment_id": change.segment_id,
        "user_id": change.user_id,
        "change": change.change,
        "at": text_of_us(change.at_us),
        "reason": change.reason,
        "version": change.version,
    }
