"""uvicorn around the application, ended by an event instead of by its own signal handlers."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from socket import socket

import uvicorn

from services.api.hot.dispatcher import Dispatcher

_CLOSE_AFTER_S = 6
"""Longer than any request may take, writes to Kafka included, but for questions to the history: these are ended."""


class Server(uvicorn.Server):
    """Serves until told to stop; requests under way are answered first."""

    def __init__(self, app: Dispatcher, end_streams: Callable[[], None]) -> None:
        """`end_streams` lets answers end that would go on for ever."""
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_CLOSE_AFTER_S,
            )
        )
        self.has_started = asyncio.Event()
        self._end_streams = end_streams

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """uvicorn's, and the event set when it was successful."""
        await super().startup(sockets)
        if self.started:
            self.has_started.set()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """uvicorn's, which waits for the answers under way."""
        self._end_streams()
        await super().shutdown(sockets)

    async def serve_until(self, stop: asyncio.Event, listening: socket) -> None:
        """Serve on the socket until the event is set. uvicorn ends with SystemExit if the lifespan cannot start."""

        async def end() -> None:
            await stop.wait()
            self.should_exit = True

        ending = asyncio.create_task(end())
        try:
            await self.serve(sockets=[listening])
        finally:
            ending.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process has its own handlers."""
        yield
