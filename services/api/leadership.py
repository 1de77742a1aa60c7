"""One api process leads: it relays the outbox and reads progress, under an advisory lock of PostgreSQL."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from services.api.repository.outbox import CHANNEL
from shared.runtime.metrics import API_OUTBOX_LEADER

_LOCK_KEY = 0x5348_4F41_4C01
_TIMEOUT_S = 5.0
_HEARTBEAT_S = 1.0
_RETRY_S = 1.0

_log = logging.getLogger(__name__)
_OUTAGES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Leadership:
    """Waits for the lock and runs the jobs while the connection that holds it lives.

    A leader that has lost its connection may send for a moment beside its successor. Commands carry ascending ids
    and each start sends the last wishes again, so that this changes nothing.
    """

    def __init__(
        self, database_url: str, notified: Callable[[], None], jobs: Sequence[Callable[[], Awaitable[None]]]
    ) -> None:
        """`notified` is called when rows were stored by whatever process; `jobs` run until they are cancelled."""
        self._database_url = database_url
        self._notified = notified
        self._jobs = jobs
        self.fault: str | None = "not started"
        """Why no lead can be had, None while leading or waiting behind the leader."""
        self.leading = False

    async def run(self) -> None:
        """Lead whenever the lock can be had, for ever."""
        while True:
            try:
                await self._lead()
            except* _OUTAGES as outage:
                error = outage.exceptions[0]
                self.fault = f"PostgreSQL: {str(error) or type(error).__name__}"
                _log.warning("the lead cannot be held: %s", self.fault)
            except* Exception as defect:  # noqa: BLE001 - it is logged; to stop relaying for ever would be worse
                self.fault = f"a defect: {defect.exceptions[0]}"
                _log.exception("a job of the leader failed")
            await asyncio.sleep(_RETRY_S)

    async def _lead(self) -> None:
        connection = await asyncpg.connect(self._database_url, timeout=_TIMEOUT_S)
        try:
            self.fault = None
            # waits in the server until the leader, if there is another, lets go
            await connection.execute("select pg_advisory_lock($1)", _LOCK_KEY)
            await connection.add_listener(CHANNEL, lambda *_: self._notified())
            self.leading = True
            API_OUTBOX_LEADER.set(1)
            _log.info("leading: relaying the outbox and reading progress")
            async with asyncio.TaskGroup() as group:
                group.create_task(_hold(connection))
                for job in self._jobs:
                    group.create_task(_run(job))
        finally:
            self.leading = False
            API_OUTBOX_LEADER.set(0)
            connection.terminate()


async def _run(job: Callable[[], Awaitable[None]]) -> None:
    await job()


async def _hold(connection: "asyncpg.Connection") -> None:
    while True:
        await connection.execute("select 1", timeout=_TIMEOUT_S)
        await asyncio.sleep(_HEARTBEAT_S)
