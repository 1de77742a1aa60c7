"""Membership changes as server-sent events: each stream reads the feed as fast as its client takes them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from services.api.change_feed import ChangeFeed, FeedChange
from services.api.errors import ApiError, Unavailable
from services.api.instants import text_of_us
from shared.runtime.metrics import API_FEED_STREAMS

MEDIA_TYPE = "text/event-stream"
_AT_ONCE = 200
_HEARTBEAT = b":\n\n"
_RETRY_AFTER_S = 5
STALLED_S = 60.0
"""A client that takes nothing for so long makes room for others; it can go on where it was."""

Check = Callable[[], Awaitable[object]]

_log = logging.getLogger(__name__)


def told(change: FeedChange) -> dict[str, Any]:
    """A change as the API tells it."""
    return {
        "position": change.position,
        "id": change.id,
        "user_id": change.user_id,
        "change": change.change,
        "at": text_of_us(change.at_us),
        "reason": change.reason,
        "version": change.version,
    }


class ChangeStreams:
    """The streams of one process."""

    def __init__(self, feed: ChangeFeed, limit: int, heartbeat_s: float) -> None:
        """`limit` of open streams; a stream that has nothing to tell says so every `heartbeat_s`."""
        self._feed, self._limit, self._heartbeat_s = feed, limit, heartbeat_s
        self._open = 0
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End all streams, between two changes: their clients go on elsewhere."""
        self._ended.set()

    def response(self, tenant: int, segment_id: int, position: int, check: Check) -> StreamingResponse:
        """The changes of a segment after a position, and on. Answering raises Unavailable beyond the limit.

        `check` is asked before each reading whether the caller still may; the ApiError that it raises is the end.
        """
        return _Stream(self._changes(tenant, segment_id, position, check), self._count)

    def _count(self, more: int) -> None:
        if self._open + more > self._limit:
            raise Unavailable(f"{self._limit} clients follow changes here already", _RETRY_AFTER_S)
        self._open += more
        API_FEED_STREAMS.inc(more)

    async def _changes(self, tenant: int, segment_id: int, position: int, check: Check) -> AsyncIterator[bytes]:
        """Nothing is read ahead: the next changes are asked for when the client's connection has taken these."""
        ended = asyncio.create_task(self._ended.wait())
        said_s = time.monotonic()
        try:
            while not ended.done():
                await check()
                page = await self._feed.page(position, _AT_ONCE, tenant, segment_id)
                position = page.through
                if page.changes:
                    yield b"".join(map(_event, page.changes))
                elif time.monotonic() >= said_s + self._heartbeat_s:
                    yield _HEARTBEAT
                else:
                    await self._more(position, ended, said_s + self._heartbeat_s - time.monotonic())
                    continue
                said_s = time.monotonic()
        except ApiError:
            # not allowed any more, or the history is away: the client comes again, and hears then why
            return
        finally:
            ended.cancel()

    async def _more(self, position: int, ended: "asyncio.Task[Any]", within_s: float) -> None:
        """Wait for changes after a position, of whatever segment, or for the end."""
        waiting = asyncio.create_task(self._feed.wait(position))
        try:
            await asyncio.wait((waiting, ended), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()


class _Stream(StreamingResponse):
    """Counted from its first byte to its end, however it ends."""

    media_type = MEDIA_TYPE

    def __init__(self, content: AsyncIterator[bytes], count: Callable[[int], None]) -> None:
        # nginx would hold back what is small
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises Unavailable."""

        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(STALLED_S):
                await send(message)

        self._count(1)
        try:
            await super().__call__(scope, receive, send_soon)
        except TimeoutError:
            _log.info("a client that followed changes took nothing for %g s", STALLED_S)
        finally:
            self._count(-1)


def _event(change: FeedChange) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (change.position, msgspec.json.encode(told(change)))
