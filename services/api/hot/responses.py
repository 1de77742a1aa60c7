"""Answers written straight to the server, for the hot paths."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from services.api.errors import ApiError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = (b"content-type", b"application/json")


async def answer(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """One whole JSON answer."""
    raw = [_JSON, (b"content-length", b"%d" % len(body))]
    if headers:
        raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def answer_error(send: Send, error: ApiError) -> None:
    """The answer that an error asks for."""
    await answer(send, error.status, msgspec.json.encode(error.body), error.headers)
