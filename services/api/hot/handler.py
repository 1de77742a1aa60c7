"""What a hot path is: one method, one function from a known caller's request to the bytes of the answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from services.api.auth import Caller
from services.api.bodies import Receive, check_media_type, header, read_body
from services.api.errors import BadRequest
from services.api.scopes import Scope as NeededScope

Scope = MutableMapping[str, Any]


class HotRequest(NamedTuple):
    """A request as the server hands it over."""

    caller: Caller
    scope: Scope
    receive: Receive

    async def body(self) -> bytes:
        """The body. Raises what the checks of every body raise, and BadRequest when there is none."""
        body = await read_body(self.receive)
        if not body:
            raise BadRequest("a JSON body is required")
        check_media_type(header(self.scope["headers"], b"content-type"))
        return body


class HotPath(NamedTuple):
    """One path that bypasses the framework; `handle` returns status and JSON, or raises an ApiError."""

    method: str
    path: str
    scope: NeededScope
    handle: Callable[[HotRequest], Awaitable[tuple[int, bytes]]]
