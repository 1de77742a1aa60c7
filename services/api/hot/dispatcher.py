"""The front of the api: hot paths straight to their handlers, everything else to FastAPI."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Histogram

from services.api.auth import Authenticator
from services.api.bodies import Disconnected, Receive
from services.api.errors import ApiError, InternalError, MethodNotAllowed
from services.api.hot.handler import HotPath, HotRequest, Scope
from services.api.hot.responses import Send, answer, answer_error
from shared.runtime.metrics import API_REQUEST_SECONDS, API_REQUESTS

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger(__name__)


class Dispatcher:
    """An ASGI application: an exact path is looked up in a dict, before any framework.

    Paths are matched as they came, with their escapes, and with or without the last slash.
    """

    def __init__(self, hot_paths: Iterable[HotPath], authenticator: Authenticator, rest: App) -> None:
        self._authenticator = authenticator
        self._rest = rest
        self._hot: dict[bytes, dict[str, HotPath]] = {}
        for hot in hot_paths:
            for path in (hot.path, hot.path.removesuffix("/")):
                self._hot.setdefault(path.encode(), {})[hot.method] = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        started_s = time.perf_counter()
        path = scope.get("raw_path") or scope["path"].encode()
        methods = self._hot.get(path)
        if methods is None:
            await self._cold(path, scope, receive, send, started_s)
            return
        hot = methods.get(scope["method"])
        if hot is None:
            await answer_error(send, MethodNotAllowed(scope["method"], sorted(methods)))
            _count(next(iter(methods.values())).path, scope["method"], 405, started_s)
            return
        try:
            caller = await self._authenticator.admit(scope["headers"], hot.scope)
            status, body = await hot.handle(HotRequest(caller, scope, receive))
            await answer(send, status, body)
        except ApiError as error:
            status = error.status
            await answer_error(send, error)
        except Disconnected:
            return
        except Exception:  # noqa: BLE001 - the caller gets an answer without a trace, the log the trace
            _log.exception("%s %s failed", scope["method"], hot.path)
            status = 500
            await answer_error(send, InternalError())
        _count(hot.path, scope["method"], status, started_s)

    async def _cold(self, path: bytes, scope: Scope, receive: Receive, send: Send, started_s: float) -> None:
        # the raw path, so that an encoded slash inside an id separates nothing
        text = path.decode("latin-1")
        scope = {**scope, "path": text if text.endswith("/") else text + "/"}
        status = 0

        async def counted_send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._rest(scope, receive, counted_send)
        except Disconnected:
            return
        except Exception:  # noqa: BLE001 - the framework has logged it and, if it could, answered 500
            if status == 0:
                _log.exception("%s failed without an answer", scope["method"])
                await answer_error(counted_send, InternalError())
        route = scope.get("route")
        _count(getattr(route, "path_format", "other"), scope["method"], status, started_s)


@lru_cache(maxsize=1024)
def _counter(route: str, method: str, status: int) -> Counter:
    # the method is the caller's text: only the known ones are told apart
    return API_REQUESTS.labels(route, method if method in _METHODS else "other", status)


@lru_cache(maxsize=128)
def _histogram(route: str) -> Histogram:
    return API_REQUEST_SECONDS.labels(route)


def _count(route: str, method: str, status: int, started_s: float) -> None:
    _counter(route, method, status).inc()
    _histogram(route).observe(time.perf_counter() - started_s)
