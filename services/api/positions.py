"""Positions: what ingestion answers so that a lookup can wait until the events it stored show (`?after=`)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from services.api.errors import Invalid

_PLAIN = str.maketrans("+/", "-_")
_MAX_OFFSET = (1 << 63) - 1
_TEXT = re.compile(r"([A-Za-z0-9_-]{1,64}):(\d{1,4}-\d{1,19}(?:,\d{1,4}-\d{1,19})*)", re.ASCII)


class Position(NamedTuple):
    """Where the events of one request were stored: the log's epoch, and by partition the offset of the last.

    The epoch is in the form of `plain_epoch`.
    """

    log_epoch: str
    offsets: Mapping[int, int]


def plain_epoch(log_epoch: str) -> str:
    """An epoch without the two characters of base64 that an address must not hold as they are."""
    return log_epoch.translate(_PLAIN)


def position_text(position: Position) -> str:
    """The text that clients hand back: `<log epoch>:<partition>-<offset>`, several places joined by commas."""
    places = ",".join(f"{partition}-{offset}" for partition, offset in sorted(position.offsets.items()))
    return f"{position.log_epoch}:{places}"


def parse_position(field: str, text: str) -> Position:
    """The position of a text of ours. Raises Invalid, naming the field, for any other."""
    found = _TEXT.fullmatch(text)
    places = [place.split("-") for place in found[2].split(",")] if found else []
    if not found or any(int(offset) > _MAX_OFFSET for _, offset in places):
        raise Invalid({field: ["must be a position as ingestion answers it"]})
    return Position(found[1], {int(partition): int(offset) for partition, offset in places})
