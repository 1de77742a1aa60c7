"""The body of a request: read with a limit, declared as JSON, and JSON that every store of ours can keep."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from services.api.errors import BadRequest, TooLarge, WrongMediaType

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 32
_MAX_DISCARDED_BYTES = 4 * MAX_BODY_BYTES
"""What is too large is read on and thrown away up to here: a client that is still sending sees no answer."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Iterable[tuple[bytes, bytes]]


class Disconnected(Exception):  # noqa: N818 - it names the thing
    """The client left before its body was complete: nobody waits for an answer."""


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header (its name in lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


async def read_body(receive: Receive) -> bytes:
    """The whole body, counted while it comes in. Raises TooLarge, Disconnected."""
    parts: list[bytes] = []
    size = 0
    while (message := await receive())["type"] == "http.request":
        body: bytes = message.get("body", b"")
        size += len(body)
        more = message.get("more_body", False)
        if size <= MAX_BODY_BYTES:
            parts.append(body)
        elif not more or size > _MAX_DISCARDED_BYTES:
            raise TooLarge(MAX_BODY_BYTES)
        if not more:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise Disconnected


def check_media_type(content_type: bytes | None) -> None:
    """Raises WrongMediaType unless the type is `application/json` or `application/...+json`, in UTF-8."""
    if content_type == b"application/json":
        return
    media, _, parameters = (content_type or b"").decode("latin-1").lower().partition(";")
    media = media.strip()
    charset = parameters.strip().removeprefix("charset=").strip('" ')
    is_json = media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
    if not is_json or (parameters.strip() and charset not in ("utf-8", "utf8")):
        raise WrongMediaType


def check_json(body: bytes) -> None:
    """Raises BadRequest unless the body is one JSON text: UTF-8, finite numbers, no U+0000, at most 32 levels deep."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    _check_values(value)


def _check_values(value: object) -> None:
    level = [value]
    depth = 0
    while level:
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                if "\0" in item:
                    raise BadRequest("the body must not contain U+0000")
            elif isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
        # scalars of the last level are checked one turn later and are no level of their own
        if any(isinstance(item, dict | list) for item in level):
            depth += 1
        if depth > MAX_DEPTH:
            raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels")
        level = below
