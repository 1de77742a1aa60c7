"""The health of a service over HTTP, served inside its event loop: GET /livez, /readyz and /metrics."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator, Mapping

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from shared.runtime.metrics import exposition

Parts = Mapping[str, str | None]
"""What a service consists of: a part's value is None when it is fine, else the text says why it is degraded."""

_BACKLOG = 128
_CLOSE_AFTER_S = 2


class CannotListen(Exception):  # noqa: N818 - it names the thing
    """Stop: the address cannot be bound. The text names it and the cause."""


def readiness(parts: Parts) -> tuple[int, dict[str, object]]:
    """HTTP status and JSON body of /readyz: 200 `ready`, or 503 `degraded` with the reason beside each part."""
    degraded = any(reason is not None for reason in parts.values())
    shown = {name: "ok" if reason is None else reason for name, reason in parts.items()}
    return (503 if degraded else 200), {"status": "degraded" if degraded else "ready", "parts": shown}


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises CannotListen naming address and cause (port in use, unknown host)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # connections inherit it; asyncio sets it only where a protocol is named, and an answer in two parts would wait
        # 40 ms for the client's acknowledgement
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        # create_server lengthens the text of the system's error
        known = error.errno in errno.errorcode
        cause = os.strerror(error.errno) if known and error.errno else error.strerror or str(error)
        raise CannotListen(f"cannot listen on {host}:{port}: {cause}") from error
    return listening


class HealthServer:
    """GET /livez: the event loop answers. GET /readyz: `readiness` of the parts. GET /metrics: the section's text."""

    def __init__(self, host: str, port: int, parts: Callable[[], Parts], section: CollectorRegistry) -> None:
        self._host, self._port, self._parts, self._section = host, port, parts, section
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve until `stop`. Raises CannotListen."""
        listening = listen(self._host, self._port)
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app(),
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=_CLOSE_AFTER_S,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="health")
        await self._server.has_started.wait()

    async def stop(self) -> None:
        """Stop listening and close what is open; does nothing when not started."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None

    @property
    def port(self) -> int:
        """The port listened on; of interest when 0 was asked for."""
        return self._port

    def _app(self) -> Starlette:
        # async although they wait for nothing: Starlette runs plain functions in threads
        async def livez(_: Request) -> Response:
            return PlainTextResponse("ok\n")

        async def readyz(_: Request) -> Response:
            status, body = readiness(self._parts())
            return JSONResponse(body, status)

        async def metrics(_: Request) -> Response:
            return Response(exposition(self._section), media_type=CONTENT_TYPE_LATEST)

        return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (the process has its own), and with a start one can wait for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()
