"""Slots for questions to the history: some run, some more wait, and each ends when nobody waits for its answer."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, TypeVar

from duckdb import ConnectionException, DuckDBPyConnection, InterruptException

from services.api.bodies import Disconnected, Receive
from services.api.errors import ApiError, Unavailable
from shared.runtime.metrics import API_HISTORY_QUESTIONS, API_HISTORY_RUNNING, API_HISTORY_SECONDS, API_HISTORY_WAITING

_AGAIN_S = 0.02
"""Between two calls of `interrupt`: one that comes before a statement begins ends nothing."""

_RETRY_AFTER_S = 5

_Answer = TypeVar("_Answer")


class Limits(NamedTuple):
    """How many questions run at once, how many more wait and how long, and how long one may run."""

    slots: int
    waiting: int
    wait_s: float
    run_s: float


class Run:
    """One question on its thread; it is ended from the event loop."""

    def __init__(self) -> None:
        self._cursor: DuckDBPyConnection | None = None
        self._ended = False

    def uses(self, cursor: DuckDBPyConnection) -> None:
        """The cursor whose statements end with the run. Raises InterruptException when it has been ended."""
        self._cursor = cursor
        if self._ended:
            raise InterruptException

    def end(self) -> None:
        """End the statement that runs, and keep others from beginning; call it until the thread is done."""
        self._ended = True
        if self._cursor is not None:
            with contextlib.suppress(ConnectionException):  # closed at this moment
                self._cursor.interrupt()


class HistoryPool:
    """Runs blocking questions on threads of its own, within limits. Of one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.slots)
        self._threads = ThreadPoolExecutor(limits.slots, thread_name_prefix="history")
        self._waiting = 0
        self._runs: dict[asyncio.Future[Any], Run] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self, kind: str, receive: Receive, ask: Callable[[Run], _Answer]) -> _Answer:
        """The answer of `ask`, which runs on a thread and tells its cursor to the Run.

        Args:
            kind: for the metrics.
            receive: of the request, whose body has been read: tells when the client leaves.
            ask: raises whatever it likes.

        Raises:
            Unavailable: too many wait, or it has waited or run for too long.
            Disconnected: the client left.
        """
        outcome = "failed"
        try:
            async with _departure(receive) as gone:
                await self._take_slot(gone)
                answer = await self._run(gone, kind, ask)
            outcome = "answered"
        except ApiError as error:
            outcome = "refused" if isinstance(error, Unavailable) else "answered"
            raise
        except (Disconnected, asyncio.CancelledError):
            outcome = "left"
            raise
        finally:
            API_HISTORY_QUESTIONS.labels(kind, outcome).inc()
        return answer

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self._runs and not self._waiting

    async def close(self) -> None:
        """End what runs, and wait for the threads; nobody asks any more."""
        for thread, run in self._runs.items():
            self._end(run, thread)
        await asyncio.gather(*self._ending)
        self._threads.shutdown()

    async def _take_slot(self, gone: "asyncio.Task[None]") -> None:
        if self._slots.locked() and self._waiting >= self._limits.waiting:
            raise Unavailable("too many questions to the history wait already", _RETRY_AFTER_S)
        self._waiting += 1
        API_HISTORY_WAITING.inc()
        taking = asyncio.create_task(self._slots.acquire())
        taken = False
        try:
            await asyncio.wait((taking, gone), timeout=self._limits.wait_s, return_when=asyncio.FIRST_COMPLETED)
            taken = taking.done() and not gone.done()
        finally:
            self._waiting -= 1
            API_HISTORY_WAITING.dec()
            if not taken:
                self._give_up(taking)
        if gone.done():
            raise Disconnected
        if not taken:
            raise Unavailable(
                f"other questions to the history take longer than {self._limits.wait_s:g} s", _RETRY_AFTER_S
            )

    def _give_up(self, taking: "asyncio.Task[Literal[True]]") -> None:
        if taking.done():
            self._slots.release()
        else:
            taking.cancel()

    async def _run(self, gone: "asyncio.Task[None]", kind: str, ask: Callable[[Run], _Answer]) -> _Answer:
        run = Run()
        thread = asyncio.get_running_loop().run_in_executor(self._threads, ask, run)
        self._runs[thread] = run
        API_HISTORY_RUNNING.inc()
        started_s = time.monotonic()

        def ended(_: object) -> None:
            # not before the thread is free, however early its answer is given up
            self._slots.release()
            del self._runs[thread]
            API_HISTORY_RUNNING.dec()
            API_HISTORY_SECONDS.labels(kind).observe(time.monotonic() - started_s)

        thread.add_done_callback(ended)
        try:
            await asyncio.wait((thread, gone), timeout=self._limits.run_s, return_when=asyncio.FIRST_COMPLETED)
            if thread.done():
                return thread.result()
            if gone.done():
                raise Disconnected
            raise Unavailable(f"the answer takes longer than {self._limits.run_s:g} s", _RETRY_AFTER_S)
        finally:
            if not thread.done():
                self._end(run, thread)

    def _end(self, run: Run, thread: "asyncio.Future[Any]") -> None:
        async def until_done() -> None:
            while not thread.done():
                run.end()
                await asyncio.wait((thread,), timeout=_AGAIN_S)
            thread.exception()  # looked at: nobody else will

        ending = asyncio.create_task(until_done())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


@asynccontextmanager
async def _departure(receive: Receive) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that is done when the client has left."""

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watching = asyncio.create_task(left())
    try:
        yield watching
    finally:
        watching.cancel()
