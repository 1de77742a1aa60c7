"""Which segments of a tenant have members at all: read from PostgreSQL, at most a second old."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.api.database import DatabaseUnavailable
from services.api.errors import Unavailable

MAX_AGE_S = 1.0
"""Lookups of a deleted segment end this much later at the latest."""
_REFRESH_AGE_S = 0.5
_READ_TIMEOUT_S = 0.8
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


@dataclass
class _Set:
    ids: frozenset[int] | None = None
    read_at_s: float = float("-inf")
    failed_at_s: float = float("-inf")
    reading: "asyncio.Task[None] | None" = None


class LiveSegments:
    """The live set of every tenant asked for lately.

    A set is answered up to a second after it was read. While PostgreSQL is down the last set stays: a segment
    deleted meanwhile could not be deleted either.
    """

    def __init__(self, read: Callable[[int], Awaitable[frozenset[int]]]) -> None:
        """`read` asks PostgreSQL and raises DatabaseUnavailable."""
        self._read = read
        self._sets: dict[int, _Set] = {}

    def cached(self, tenant: int) -> frozenset[int] | None:
        """The set when it is young enough to answer without waiting; None asks for `of`."""
        known = self._sets.get(tenant)
        if known is None or known.ids is None:
            return None
        age_s = time.monotonic() - known.read_at_s
        if age_s < _REFRESH_AGE_S:
            return known.ids
        if age_s < MAX_AGE_S:
            self._start(tenant, known)
            return known.ids
        return None

    async def of(self, tenant: int) -> frozenset[int]:
        """The set. Raises Unavailable when it was never read and PostgreSQL is down."""
        ids = self.cached(tenant)
        if ids is not None:
            return ids
        known = self._sets.setdefault(tenant, _Set())
        if known.ids is not None and time.monotonic() - known.failed_at_s < _RETRY_S:
            return known.ids
        # not awaited to its end: a connection that hangs also hangs when it is given up
        _, late = await asyncio.wait((self._start(tenant, known),), timeout=_READ_TIMEOUT_S)
        if late:
            known.failed_at_s = time.monotonic()
        if known.ids is None:
            raise Unavailable("the segments cannot be read")
        return known.ids

    def forget(self, tenant: int) -> None:
        """The tenant's segments have changed: the next lookup reads them anew."""
        known = self._sets.get(tenant)
        if known is not None:
            known.read_at_s = float("-inf")
            # what is being read now may be of before the change
            known.reading = None

    def _start(self, tenant: int, known: _Set) -> "asyncio.Task[None]":
        if known.reading is None:
            known.reading = asyncio.create_task(self._refresh(tenant, known))
        return known.reading

    async def _refresh(self, tenant: int, known: _Set) -> None:
        started_s = time.monotonic()
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                ids = await self._read(tenant)
        except (DatabaseUnavailable, TimeoutError) as error:
            known.failed_at_s = time.monotonic()
            _log.warning("the live segments of tenant %d cannot be read, the last known stay: %s", tenant, error)
        else:
            if known.reading is task or known.ids is None:
                known.ids, known.read_at_s = ids, started_s
        finally:
            if known.reading is task:
                known.reading = None
