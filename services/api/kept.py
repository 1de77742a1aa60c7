"""Values of PostgreSQL that many requests need: read once for all who ask within a second or some."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.api.database import DatabaseUnavailable
from services.api.errors import Unavailable

_READ_TIMEOUT_S = 0.8
_RETRY_S = 1.0
_MOST = 10_000
"""Keys that are remembered."""

_log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class _Known(Generic[V]):
    value: V | None = None
    """None before it was read."""
    read_at_s: float = float("-inf")
    failed_at_s: float = float("-inf")
    reading: "asyncio.Task[None] | None" = None


class Kept(Generic[K, V]):
    """The values of the keys asked for lately; a value is never None.

    A value is answered up to its age after it was read, and read anew behind the answer from half of that on. While
    PostgreSQL is down the last one stays for a while: what would change it can hardly be stored either.
    """

    def __init__(
        self, what: str, read: Callable[[K], Awaitable[V]], max_age_s: float, stays_s: float = float("inf")
    ) -> None:
        """`what` is read, in the words of an error; `read` asks PostgreSQL and raises DatabaseUnavailable; `stays_s`:
        the age up to which a value is answered while it is down.
        """
        self._what, self._read, self._max_age_s, self._stays_s = what, read, max_age_s, stays_s
        self._known: dict[K, _Known[V]] = {}

    def cached(self, key: K) -> V | None:
        """The value when it is young enough to answer without waiting; None asks for `of`."""
        known = self._known.get(key)
        if known is None or known.value is None:
            return None
        age_s = time.monotonic() - known.read_at_s
        if age_s < self._max_age_s / 2:
            return known.value
        if age_s < self._max_age_s:
            self._start(key, known)
            return known.value
        return None

    async def of(self, key: K) -> V:
        """The value. Raises Unavailable when PostgreSQL is down and none is known that may stay."""
        value = self.cached(key)
        if value is not None:
            return value
        known = self._remembered(key)
        if known.value is not None and time.monotonic() - known.failed_at_s < _RETRY_S:
            return self._last(known)
        # not awaited to its end: a connection that hangs also hangs when it is given up
        _, late = await asyncio.wait((self._start(key, known),), timeout=_READ_TIMEOUT_S)
        if late:
            known.failed_at_s = time.monotonic()
        return self._last(known)

    def forget(self, key: K) -> None:
        """The value has changed: whoever asks next reads it anew."""
        known = self._known.get(key)
        if known is not None:
            known.read_at_s = float("-inf")
            # what is being read now may be of before the change
            known.reading = None

    def _last(self, known: _Known[V]) -> V:
        if known.value is None or time.monotonic() - known.read_at_s > self._stays_s:
            raise Unavailable(f"{self._what} cannot be read")
        return known.value

    def _remembered(self, key: K) -> _Known[V]:
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                # the one remembered longest: whoever asks with many wrong keys fills no memory
                del self._known[next(iter(self._known))]
            known = self._known[key] = _Known()
        return known

    def _start(self, key: K, known: _Known[V]) -> "asyncio.Task[None]":
        if known.reading is None:
            known.reading = asyncio.create_task(self._refresh(key, known))
        return known.reading

    async def _refresh(self, key: K, known: _Known[V]) -> None:
        started_s = time.monotonic()
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                value = await self._read(key)
        except (DatabaseUnavailable, TimeoutError) as error:
            known.failed_at_s = time.monotonic()
            _log.warning("%s cannot be read, what was last known stays: %s", self._what, error)
        else:
            if known.reading is task or known.value is None:
                known.value, known.read_at_s = value, started_s
        finally:
            if known.reading is task:
                known.reading = None
