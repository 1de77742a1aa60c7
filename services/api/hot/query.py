"""Query strings of the hot paths."""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from services.api.errors import Invalid


def parse_query(query: bytes, names: Sequence[str]) -> dict[str, list[str]]:
    """The values of the named parameters, in their order; others are passed over.

    Raises:
        Invalid: a value is not UTF-8 once its escapes are undone.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for part in query.split(b"&"):
        raw_name, _, raw_value = part.partition(b"=")
        name = raw_name.decode("latin-1")
        if name not in found:
            continue
        if b"+" in raw_value:
            raw_value = raw_value.replace(b"+", b" ")
        try:
            found[name].append((unquote_to_bytes(raw_value) if b"%" in raw_value else raw_value).decode())
        except UnicodeDecodeError:
            raise Invalid({name: ["is not valid UTF-8"]}) from None
    return found
