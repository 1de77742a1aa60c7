"""The event history as the api reads it: locked in, in slots, and with its faults as answers."""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from duckdb import DuckDBPyConnection

from services.api.bodies import Receive
from services.api.errors import ApiError, Unavailable
from services.api.events_log import EventsLog, LogState
from services.api.history_pool import HistoryPool, Limits, Run
from services.api.settings import ApiSettings
from shared.history.address import HistoryAddress
from shared.history.engine import Engine, read_again
from shared.history.errors import HistoryFault, HistoryOverloaded, HistoryUnavailable
from shared.history.schema import CHANGES, EVENTS, TableSchema
from shared.history.snapshot import HistoryReader, Snapshot
from shared.runtime.clock import Clock

_FEED_WAITING = 1_000

OpenFiles = Callable[[Sequence[str]], AbstractContextManager[DuckDBPyConnection]]
_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """The history, opened for one question: `cursor` has the view `events`, or `changes`.

    now_us: the wall clock before that. known_until_us: until then the history has all events received; None when
    Kafka did not say so, or was not asked.
    """

    cursor: DuckDBPyConnection
    now_us: int
    known_until_us: int | None


class History:
    """Asks the history, within the limits of the settings."""

    def __init__(self, settings: ApiSettings, clock: Clock) -> None:
        """Connects to nothing yet."""
        self._settings, self._clock = settings, clock
        self._address = HistoryAddress.of(settings.history)
        self._log = EventsLog(settings.kafka_bootstrap_servers, settings.partitions)
        self._pool = HistoryPool(
            Limits(
                settings.history_slots, settings.history_waiting, settings.history_wait_s, settings.history_time_limit_s
            )
        )
        # what nobody waits for takes no slot from those who do
        self._beside = HistoryPool(Limits(1, 0, settings.history_wait_s, settings.history_time_limit_s))
        # who follows the feed waits for no preview
        self._feed = HistoryPool(Limits(2, _FEED_WAITING, settings.history_wait_s, settings.history_time_limit_s))
        self._engine: Engine | None = None
        self._epoch = ""

    def start(self) -> None:
        """Make DuckDB's instance."""
        settings = self._settings
        self._readers = {
            schema.name: HistoryReader(replace(self._address, schema=schema), settings.partitions)
            for schema in (EVENTS, CHANGES)
        }
        self._engine = Engine(
            [reader.folder for reader in self._readers.values()],
            Path(settings.history_temp or tempfile.gettempdir()),
            settings.history_memory_mb,
            settings.history_threads,
            settings.history_temp_mb,
        )

    async def stop(self) -> None:
        """End what is asked, and free all."""
        await self._pool.close()
        await self._beside.close()
        await self._feed.close()
        if self._engine is not None:
            self._engine.close()

    async def ask(
        self,
        kind: str,
        receive: Receive,
        question: Callable[[Opened], _Answer],
        *,
        of: TableSchema = EVENTS,
        is_dated: bool = False,
    ) -> _Answer:
        """The answer of the question, which runs on a thread of its own.

        Args:
            kind: of question, for the metrics.
            receive: of the request: when its client leaves, the question ends.
            question: asked again, once, if a file of the history went away meanwhile.
            of: the table that it is about.
            is_dated: it is about an instant, so that Kafka is asked until when all is known.

        Raises:
            ApiError: it cannot be answered, now or ever.
            Disconnected: the client left.
        """
        with answered(kind):
            return await self._pool.run(
                kind, receive, lambda run: self._on_thread(run, question, of, is_dated=is_dated)
            )

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return self._pool.is_idle

    async def log(self) -> LogState | None:
        """The log of events as it is now; None if Kafka does not answer."""
        return await asyncio.to_thread(self._log.read)

    async def snapshot(self, log_epoch: str, of: TableSchema = EVENTS) -> Snapshot:
        """The newest, with the numbers of this log. Raises HistoryUnavailable."""
        return await asyncio.to_thread(self._listed, of, log_epoch)

    async def ask_of(self, kind: str, snapshot: Snapshot, question: Callable[[DuckDBPyConnection], _Answer]) -> _Answer:
        """As `ask`, for nobody's request, by the files of a snapshot; one at a time, and beside the slots of requests.

        Raises HistoryFault, Unavailable.
        """

        def asked(run: Run) -> _Answer:
            with self._session(run, EVENTS, snapshot.files) as cursor:
                return question(cursor)

        return await self._beside.run(kind, _nobody_leaves, asked)

    async def ask_feed(self, question: Callable[[Snapshot, OpenFiles], _Answer]) -> _Answer:
        """As `ask`, about changes and for who follows them: one at a time, and beside the slots of requests.

        The question opens those files of the snapshot that it needs.
        """

        def asked(run: Run) -> _Answer:
            return read_again(
                lambda: self._listed(CHANGES, ""),
                lambda snapshot: question(snapshot, partial(self._session, run, CHANGES)),
            )

        with answered("feed"):
            return await self._feed.run("feed", _nobody_leaves, asked)

    @contextmanager
    def _session(self, run: Run, of: TableSchema, files: Sequence[str]) -> Iterator[DuckDBPyConnection]:
        assert self._engine is not None
        with self._engine.session(files, of) as cursor:
            run.uses(cursor)
            yield cursor

    def _listed(self, of: TableSchema, log_epoch: str) -> Snapshot:
        if self._address.folder is not None and not self._address.folder.is_dir():
            raise HistoryUnavailable(f"there is no folder {self._address.folder}")
        return self._readers[of.name].snapshot(log_epoch)

    def _on_thread(
        self, run: Run, question: Callable[[Opened], _Answer], of: TableSchema, *, is_dated: bool
    ) -> _Answer:
        now_us, log = self._clock.now_us(), self._log.read() if is_dated else None
        if log is not None:
            self._epoch = log.epoch

        def asked(snapshot: Snapshot) -> _Answer:
            until_us = None if log is None else self._log.known_until_us(log, snapshot, now_us)
            with self._session(run, of, snapshot.files) as cursor:
                return question(Opened(cursor, now_us, until_us))

        return read_again(lambda: self._listed(of, self._epoch if of is EVENTS else ""), asked)


@contextmanager
def answered(kind: str) -> Iterator[None]:
    """Faults of the history as answers."""
    try:
        yield
    except HistoryFault as fault:
        _log.warning("the history cannot answer (%s): %s", kind, fault)
        raise _answer_to(fault) from fault


async def _nobody_leaves() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    return {}


def _answer_to(fault: HistoryFault) -> ApiError:
    if isinstance(fault, HistoryUnavailable):
        return Unavailable("the history cannot be read now")
    if isinstance(fault, HistoryOverloaded):
        return Unavailable("the answer needs more memory or temporary space than is allowed")
    return ApiError(500, {"detail": "a file of the history is broken: the log of the api names it"})
