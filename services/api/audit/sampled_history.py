"""The history as the audit asks it: one statement at a time, in a thread of its own, and never for long."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from services.api.audit.comparison import Reading
from services.api.audit.recomputation import members_by_history, sample
from services.api.audit.segments import Asked
from services.api.audit.skipped import Skipped
from shared.history.engine import Engine
from shared.history.errors import HistoryFault, HistoryUnavailable
from shared.history.snapshot import HistoryReader, Snapshot
from shared.runtime.metrics import API_AUDIT_SECONDS

_WAIT_S = 30.0
"""For what is archived some seconds after it came."""
_LOOK_EVERY_S = 0.5
_LONGEST_S = 20.0
"""Of one use of the engine, which others share."""

_Answer = TypeVar("_Answer")


class SampledHistory:
    """Asks the engine that previews use. Every method raises Skipped when it gets no answer."""

    def __init__(self, reader: HistoryReader, engine: Engine) -> None:
        self._reader, self._engine = reader, engine
        self._thread = ThreadPoolExecutor(1, "audit")

    def close(self) -> None:
        """End the thread, when what it does is done."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def sample(self, log_epoch: str, tenant: int, partition: int, limit: int) -> list[str]:
        """Known users of a partition, as `services.api.audit.recomputation.sample`."""
        snapshot = await self._snapshot(log_epoch)
        seed = secrets.randbits(62)
        return await self._ask(snapshot, lambda session: sample(session, tenant, partition, limit, seed))

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
                    await asyncio.sleep(_LOOK_EVERY_S)  # between two looks: nobody tells what is archived
        except TimeoutError:
            raise Skipped("behind", "the history has not come as far as the live answers in time") from None

    async def _snapshot(self, log_epoch: str) -> Snapshot:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._reader.snapshot, log_epoch)
        except HistoryUnavailable as fault:
            raise Skipped("unavailable", str(fault)) from fault

    async def _ask(self, snapshot: Snapshot, statements: Callable[[DuckDBPyConnection], _Answer]) -> _Answer:
        def asked() -> _Answer:
            with API_AUDIT_SECONDS.time(), self._engine.session(snapshot.files) as session:
                limit = Timer(_LONGEST_S, session.interrupt)
                limit.start()
                try:
                    return statements(session)
                finally:
                    limit.cancel()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, asked)
        except HistoryUnavailable as fault:
            raise Skipped("unavailable", str(fault)) from fault
        except HistoryFault as fault:
            raise Skipped("failed", str(fault)) from fault
        except duckdb.InterruptException as end:
            raise Skipped("failed", f"the history was not read within {_LONGEST_S:g} s") from end
