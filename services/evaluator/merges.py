"""What history found for the users of one partition, on its way into their states."""

import asyncio
from collections import deque
from typing import NamedTuple

from services.evaluator.state_records import PlanVersion
from shared.domain.user_state import Slots

WAITING = 4
"""Parts of what history found that wait to be merged; reading it waits beyond."""


class Part(NamedTuple):
    """Of some users of a tenant, by id, what is to be merged into their slots."""

    tenant: int
    users: list[tuple[str, Slots]]


class End(NamedTuple):
    """All that history knows for a version has been given, or why it cannot be."""

    segment_id: int
    version: PlanVersion
    fault: str | None = None


class Merges:
    """A queue that ends with its owner."""

    def __init__(self, wake: asyncio.Event) -> None:
        """`wake` is set when there is something to take."""
        self._wake = wake
        self._waiting: deque[Part | End] = deque()
        self._room = asyncio.Event()
        self.is_closed = False
        """Nothing more is taken."""

    async def put(self, item: Part | End) -> bool:
        """Queue it, when there is room; False when nobody will take it."""
        while len(self._waiting) >= WAITING and not self.is_closed:
            self._room.clear()
            await self._room.wait()
        if not self.is_closed:
            self._waiting.append(item)
            self._wake.set()
        return not self.is_closed

    def take(self) -> Part | End | None:
        """The next, or None."""
        if not self._waiting:
            return None
        self._room.set()
        return self._waiting.popleft()

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Nothing more is taken."""
        self.is_closed = True
        self._waiting.clear()
        self._room.set()
