"""Cursors of large lists: what stands in one is nobody's business but ours."""

import base64
import binascii
from typing import TypeVar

import msgspec

from services.api.errors import Invalid

_Content = TypeVar("_Content")


def cursor_of(content: object) -> str:
    """The text of a cursor, fit for an address; `content` as `read_cursor` gives it back."""
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def read_cursor(text: str, kind: type[_Content]) -> _Content:
    """What stands in a cursor. Raises Invalid for a text that is none of this kind."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(content, type=kind)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as fault:
        raise Invalid({"cursor": ["must be the next_cursor of an answer about the same list"]}) from fault
