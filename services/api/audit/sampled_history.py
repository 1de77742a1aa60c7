"""The history as the audit asks it: when nobody else asks, and when it has come far enough."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from duckdb import DuckDBPyConnection

from services.api.audit.comparison import Reading
from services.api.audit.recomputation import members_by_history, sample
from services.api.audit.segments import Asked
from services.api.audit.skipped import Skipped
from services.api.errors import Unavailable
from services.api.events_log import LogState
from services.api.history import History
from shared.history.errors import HistoryFault, HistoryUnavailable
from shared.history.snapshot import Snapshot

_WAIT_S = 30.0
"""For what is archived some seconds after it came, and for others to have their answers."""
_LOOK_EVERY_S = 0.5

_Answer = TypeVar("_Answer")


class SampledHistory:
    """Questions of the audit. Every method raises Skipped when it gets no answer."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def log(self) -> LogState | None:
        """The log as it is now; None if Kafka does not answer."""
        return await self._history.log()

    async def sample(self, log_epoch: str, tenant: int, partition: int, limit: int) -> list[str]:
        """Known users of a partition, as `services.api.audit.recomputation.sample`."""
        snapshot = await self._snapshot(log_epoch)
        seed = secrets.randbits(62)
        return await self._ask(snapshot, lambda session: sample(session, log_epoch, tenant, partition, limit, seed))

    async def members(
        self, tenant: int, partition: int, reading: Reading, asked: Asked
    ) -> tuple[set[str], dict[int, set[str]]]:
        """As `members_by_history`, when all events that the reading has are archived."""
        snapshot = await self._reaching(reading, partition)
        return await self._ask(
            snapshot,
            lambda session: members_by_history(session, tenant, reading, asked.definitions, asked.referenced),
        )

    async def _reaching(self, reading: Reading, partition: int) -> Snapshot:
        try:
            async with asyncio.timeout(_WAIT_S):
                while True:
                    snapshot = await self._snapshot(reading.log_epoch)
                    if snapshot.next_offsets.get(partition, 0) >= reading.next_offset:
                        return snapshot
                    await asyncio.sleep(_LOOK_EVERY_S)  # nobody tells what is archived
        except TimeoutError:
            raise Skipped("behind", "the history has not come as far as the live answers in time") from None

    async def _snapshot(self, log_epoch: str) -> Snapshot:
        try:
            return await self._history.snapshot(log_epoch)
        except HistoryUnavailable as fault:
            raise Skipped("unavailable", str(fault)) from fault

    async def _ask(self, snapshot: Snapshot, question: Callable[[DuckDBPyConnection], _Answer]) -> _Answer:
        began_s = time.monotonic()
        while not self._history.is_idle:
            if time.monotonic() - began_s > _WAIT_S:
                raise Skipped("busy", "others ask the history all the time")
            await asyncio.sleep(_LOOK_EVERY_S)  # others come first, and may come at any time
        try:
            return await self._history.ask_of("audit", snapshot, question)
        except HistoryUnavailable as fault:
            raise Skipped("unavailable", str(fault)) from fault
        except HistoryFault as fault:
            raise Skipped("failed", str(fault)) from fault
        except Unavailable as refusal:
            raise Skipped("busy", refusal.body["detail"]) from refusal
