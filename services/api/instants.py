"""Instants as the public API writes them: UTC, `Z`, and 0 or 6 fraction digits."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from services.api.errors import Invalid
from shared.domain.times import parse_time

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def _whole_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def text_of_us(instant_us: int) -> str:
    """The text of an instant in microseconds since 1970."""
    second, fraction = divmod(instant_us, MICROSECONDS)
    return f"{_whole_second(second)}.{fraction:06d}Z" if fraction else _whole_second(second) + "Z"


def given_time(field: str, text: str) -> int:
    """The instant in microseconds of a time in a request. Raises Invalid, naming the field."""
    instant_us = parse_time(text)
    if instant_us is None or instant_us < 0:
        raise Invalid(
            {field: ["must be a time, not before 1970: YYYY-MM-DD, then optionally THH:MM[:SS[.f]] and Z or +HH:MM"]}
        )
    return instant_us


def us_of(instant: datetime) -> int:
    """A moment with a zone in microseconds since 1970."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def text_of(instant: datetime | None) -> str | None:
    """The text of a moment with a zone; None stays None."""
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
