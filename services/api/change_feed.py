"""The change feed: membership changes of all tenants in one order, by their positions.

What was archived lately is kept in memory, for all who follow; the rest is read from the files of the history.
"""

import asyncio
import logging
import time
from functools import partial
from typing import Any, NamedTuple

from services.api.errors import ApiError
from services.api.history import History, OpenFiles
from shared.contracts.change import change_id
from shared.history.change_files import ChangeFiles
from shared.history.changes_sql import feed_statement
from shared.history.engine import fetch
from shared.history.schema import FEED
from shared.history.snapshot import Snapshot

LOOK_EVERY_S = 0.25
"""The table is looked at so often, while somebody waits for changes or asks."""
KEPT = 20_000
"""Changes in memory; some 10 MB."""
_SPAN, _SPAN_GROWS = 50_000, 16
"""So many positions are read for a page, then so many times as many: a page costs the same however long the feed is."""
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class FeedChange(NamedTuple):
    """One change; as `shared.contracts.change.Change`, with its position: from 1 on, without a gap over all tenants."""

    position: int
    id: str
    tenant: int
    segment_id: int
    version: int
    user_id: str
    change: str
    at_us: int
    reason: str
    generation: int
    sequence: int


class Page(NamedTuple):
    """Some changes by position. `through`: up to this position nothing that was asked for is missing."""

    changes: list[FeedChange]
    through: int


class ChangeFeed:
    """Reads the feed, for one event loop. What a cursor of its readers holds is the position of the last change."""

    def __init__(self, history: History) -> None:
        """Connects to nothing yet."""
        self._history = history
        self._files = ChangeFiles()
        self._kept: list[FeedChange] = []
        self._start = self._end = -1
        """The changes kept are those after the one position, up to the other."""
        self._looked_s = float("-inf")
        self._look: asyncio.Task[None] | None = None

    async def after(
        self, position: int, limit: int, tenant: int | None = None, segment_id: int | None = None
    ) -> list[FeedChange]:
        """The first changes after a position (0: from the start), of a tenant, of a segment if not None.

        Raises ApiError: the history cannot be read.
        """
        return (await self.page(position, limit, tenant, segment_id)).changes

    async def page(self, position: int, limit: int, tenant: int | None = None, segment_id: int | None = None) -> Page:
        """As `after`, and how far was looked: who goes on from there reads nothing twice."""
        await self._fresh()
        if position >= self._start:
            return self._from_kept(position, limit, tenant, segment_id)
        return await self._history.ask_feed(partial(self._read, position, limit, tenant, segment_id))

    async def end(self) -> int:
        """The last position there is; 0 without any change. Raises ApiError."""
        await self._fresh()
        return self._end

    async def wait(self, position: int) -> None:
        """Wait until there are changes after a position, of whatever tenant. Goes on while the history is away."""
        while self._end <= position:
            await asyncio.sleep(max(0.0, self._looked_s + LOOK_EVERY_S - time.monotonic()))
            try:
                await self._fresh()
            except ApiError as error:
                _log.debug("the feed is not looked at: %s", error)
                await asyncio.sleep(_RETRY_S)

    async def close(self) -> None:
        """End what is under way."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def _fresh(self) -> None:
        """Have looked within the last LOOK_EVERY_S; all who ask meanwhile share one look."""
        if time.monotonic() < self._looked_s + LOOK_EVERY_S:
            return
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_now(), name="look at the feed")
        # who leaves ends it for nobody else
        await asyncio.shield(self._look)

    async def _look_now(self) -> None:
        began_s = time.monotonic()
        kept, self._start, self._end = await self._history.ask_feed(partial(self._newer, self._start, self._end))
        self._kept = [*self._kept, *kept][-(self._end - self._start) :] if self._end > self._start else []
        self._looked_s = began_s

    def _newer(self, start: int, end: int, snapshot: Snapshot, opened: OpenFiles) -> tuple[list[FeedChange], int, int]:
        """The changes since the last look, and after and up to which positions changes are kept then."""
        newest = snapshot.numbers.get(FEED, 0)
        if not 0 <= newest - end <= KEPT or end < 0:
            return [], newest, newest
        if newest == end:
            return [], start, end
        page = self._read(end, newest - end, None, None, snapshot, opened)
        return page.changes, max(start, newest - KEPT), newest

    def _read(
        self,
        position: int,
        limit: int,
        tenant: int | None,
        segment_id: int | None,
        snapshot: Snapshot,
        opened: OpenFiles,
    ) -> Page:
        newest = max(position, snapshot.numbers.get(FEED, 0))
        span = max(_SPAN, limit)
        while True:
            until = min(position + span, newest)
            with opened(self._files.between(snapshot.files, position, until)) as cursor:
                rows = fetch(cursor, feed_statement(position, until, limit, tenant, segment_id))
            if len(rows) == limit or until == newest:
                changes = [_change(*row) for row in rows]
                return Page(changes, changes[-1].position if len(changes) == limit else until)
            span *= _SPAN_GROWS

    def _from_kept(self, position: int, limit: int, tenant: int | None, segment_id: int | None) -> Page:
        found = []
        for change in self._kept[position - self._start :]:
            if (tenant is None or change.tenant == tenant) and (segment_id is None or change.segment_id == segment_id):
                found.append(change)
                if len(found) == limit:
                    return Page(found, change.position)
        return Page(found, max(position, self._end))


def _change(position: int, tenant: int, segment_id: int, version: int, user_id: str, *more: Any) -> FeedChange:
    generation, sequence = more[-2:]
    identity = change_id(segment_id, user_id, generation, sequence)
    return FeedChange(position, identity, tenant, segment_id, version, user_id, *more)
