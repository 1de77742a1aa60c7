"""Reading a property from a payload: the whole name as one key first, then a path split at every dot."""

from collections.abc import Callable
from typing import Any, Final


class Missing:
    """What a property reads as when it is not there; null reads as None, and counts as missing too."""


MISSING: Final = Missing()

Reader = Callable[[dict[str, Any]], Any]


def property_reader(name: str) -> Reader:
    """A function from a payload to the property's value, or MISSING."""
    if "." not in name:
        return lambda payload: payload.get(name, MISSING)
    parts = name.split(".")

    def read(payload: dict[str, Any]) -> Any:
        if name in payload:
            return payload[name]
        found: Any = payload
        for part in parts:
            if type(found) is not dict or part not in found:
                return MISSING
            found = found[part]
        return found

    return read
