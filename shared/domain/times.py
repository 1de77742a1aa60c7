"""Instants: integer microseconds since 1970 (UTC), and the one strict function that reads them from text."""

import re
from datetime import UTC, datetime

from shared.domain.errors import InvalidEvent

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US

AHEAD_US = HOUR_US
"""How far ahead of its receipt an event may lie: a fast client clock. Such an event is set to its receipt."""

_GRAMMAR = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?"
    r"(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()

_CACHE_SIZE = 16_384
_SECOND_CHARS = len("2026-01-31T12:00:00")
_seconds: dict[str, int] = {}
"""The instants of texts of whole seconds: the events of one second share all but the end of theirs."""
_last: list[tuple[str | None, int]] = [(None, 0)]
"""The latest text and its instant: an event's is read twice in a row, to check it and to use it."""


def parse_time(text: str) -> int | None:
    """The instant of a text, or None when it is no time.

    A time is exactly `YYYY-MM-DD`, optionally followed by `T` or one space and `HH:MM[:SS[.f]]` (f: 1 to 6 digits)
    and then optionally `Z` or an offset `+HH:MM`. A date alone is midnight; no offset is UTC.
    """
    known, instant = _last[0]
    if known is text:
        return instant
    second = _seconds.get(text[:_SECOND_CHARS])
    found = _parse(text) if second is None else _within(second, text)
    if found is not None:
        _last[0] = text, found
    return found


def _within(second: int, text: str) -> int | None:
    """The instant of a text that begins with a known UTC second."""
    length = len(text)
    if length == 27 and text[26] == "Z" and text[19] == ".":
        digits = text[20:26]
        if digits.isdigit() and digits.isascii():
            return second + int(digits)
    elif length == 24 and text[23] == "Z" and text[19] == ".":
        digits = text[20:23]
        if digits.isdigit() and digits.isascii():
            return second + int(digits) * 1000
    elif length == 20 and text[19] == "Z":
        return second
    return _parse(text)


def _parse(text: str) -> int | None:
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    try:
        ordinal = datetime(int(year), int(month), int(day), tzinfo=UTC).toordinal()
    except ValueError:
        return None
    seconds = int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
    whole = (ordinal - _EPOCH) * DAY_US + seconds * SECOND_US
    if second is not None:
        if len(_seconds) >= _CACHE_SIZE:
            _seconds.clear()
        _seconds[text[:_SECOND_CHARS]] = whole
    instant = whole + (int(fraction.ljust(6, "0")) if fraction else 0)
    if sign is None:
        return instant
    offset = int(offset_hour) * HOUR_US + int(offset_minute) * 60 * SECOND_US
    return instant - offset if sign == "+" else instant + offset


def occurred_at_of(occurred_at: int | None, received_at: int) -> int:
    """When an event counts as having happened: never after its receipt, so that none lies ahead of its own step.

    Raises:
        InvalidEvent: `occurred_at` is before 1970 or more than an hour after `received_at`.
    """
    if occurred_at is None:
        return received_at
    if occurred_at <= received_at:
        if occurred_at < 0:
            raise InvalidEvent("occurred_at", "must not be before 1970-01-01")
        return occurred_at
    if occurred_at > received_at + AHEAD_US:
        raise InvalidEvent("occurred_at", "must not be more than 1 hour after the event was received")
    return received_at
