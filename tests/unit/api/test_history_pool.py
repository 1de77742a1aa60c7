"""Slots for questions to the history: how many run and wait, and that each is freed, whatever happens."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from duckdb import InterruptException

from services.api.bodies import Disconnected, Receive
from services.api.errors import NotFound, Unavailable
from services.api.history_pool import HistoryPool, Limits, Run
from shared.history.engine import Engine, fetch
from shared.history.statement import Statement
from tests.support.evaluators import wait_for

FOREVER = Statement("SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE hash(i, j) = 1", {})
PATIENCE_S = 10


class Client:
    """One that waits for its answer until it leaves."""

    def __init__(self) -> None:
        self._leaving = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        await self._leaving.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self._leaving.set()


class Gate:
    """Questions that wait on their threads until they may be answered."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.running = 0

    def ask(self, _: Run) -> str:
        self.running += 1
        assert self.open.wait(PATIENCE_S)
        return "answer"


@pytest.fixture
async def new_pool(tmp_path: Path) -> AsyncIterator[Callable[..., HistoryPool]]:
    """Makes pools, which are closed at the end: that waits for their threads."""
    made = []

    def new(slots: int = 2, waiting: int = 8, wait_s: float = PATIENCE_S, run_s: float = PATIENCE_S) -> HistoryPool:
        made.append(HistoryPool(Limits(slots, waiting, wait_s, run_s)))
        return made[-1]

    yield new
    for each in made:
        await each.close()


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Callable[[Run], object]]:
    """A question of a statement that never ends."""
    engine = Engine([], tmp_path, memory_mb=100, threads=1)

    def ask(run: Run) -> object:
        with engine.session([]) as cursor:
            run.uses(cursor)
            return fetch(cursor, FOREVER)

    yield ask
    engine.close()


def start(pool: HistoryPool, ask: Callable[[Run], Any], receive: Receive | None = None) -> "asyncio.Task[Any]":
    return asyncio.create_task(pool.run("test", receive or Client().receive, ask))


async def until(holds: Callable[[], bool]) -> None:
    """Wait, while the loop goes on, for a condition."""
    await asyncio.to_thread(wait_for, holds, PATIENCE_S, "the condition")


async def test_so_many_run_so_many_wait_and_the_next_is_sent_away(new_pool: Callable[..., HistoryPool]) -> None:
    pool, gate = new_pool(), Gate()
    asked = [start(pool, gate.ask) for _ in range(10)]
    await until(lambda: gate.running == 2)
    with pytest.raises(Unavailable) as refused:
        await start(pool, gate.ask)
    assert refused.value.headers == {"Retry-After": "5"}
    assert gate.running == 2
    gate.open.set()
    assert await asyncio.gather(*asked) == ["answer"] * 10
    assert await start(pool, gate.ask) == "answer"


async def test_a_pool_is_idle_when_nothing_runs_and_nothing_waits(new_pool: Callable[..., HistoryPool]) -> None:
    pool, gate = new_pool(), Gate()
    found = [pool.is_idle]
    asked = start(pool, gate.ask)
    await until(lambda: gate.running == 1)
    found.append(pool.is_idle)
    gate.open.set()
    await asked
    assert [*found, pool.is_idle] == [True, False, True]


async def test_who_has_waited_too_long_is_sent_away(new_pool: Callable[..., HistoryPool]) -> None:
    pool, gate = new_pool(slots=1, wait_s=0.05), Gate()
    first = start(pool, gate.ask)
    with pytest.raises(Unavailable, match=r"longer than 0\.05 s"):
        await start(pool, gate.ask)
    gate.open.set()
    assert await first == "answer"


async def test_a_statement_that_runs_too_long_is_ended_and_frees_its_slot(
    new_pool: Callable[..., HistoryPool], endless: Callable[[Run], object]
) -> None:
    pool = new_pool(slots=1, run_s=0.1)
    with pytest.raises(Unavailable, match=r"longer than 0\.1 s"):
        await start(pool, endless)
    assert await start(pool, lambda _: "next") == "next"


async def test_a_client_that_leaves_ends_its_statement_and_frees_its_slot(
    new_pool: Callable[..., HistoryPool], endless: Callable[[Run], object]
) -> None:
    pool, client = new_pool(slots=1), Client()
    leaving, next_one = start(pool, endless, client.receive), start(pool, lambda _: "next")
    client.leave()
    with pytest.raises(Disconnected):
        await leaving
    assert await next_one == "next"


async def test_a_client_that_leaves_while_it_waits_is_never_asked_for(new_pool: Callable[..., HistoryPool]) -> None:
    pool, gate, client = new_pool(slots=1, waiting=1), Gate(), Client()
    first, leaving = start(pool, gate.ask), start(pool, gate.ask, client.receive)
    await until(lambda: gate.running == 1)
    client.leave()
    with pytest.raises(Disconnected):
        await leaving
    third = start(pool, gate.ask)
    gate.open.set()
    assert list(await asyncio.gather(first, third)) == ["answer", "answer"]
    assert gate.running == 2


async def test_a_question_that_is_cancelled_ends_its_statement(
    new_pool: Callable[..., HistoryPool], endless: Callable[[Run], object]
) -> None:
    pool = new_pool(slots=1)
    asked = start(pool, endless)
    await until(lambda: bool(pool._runs))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await start(pool, lambda _: "next") == "next"


async def test_a_statement_that_has_not_begun_when_it_is_ended_never_begins(
    new_pool: Callable[..., HistoryPool], endless: Callable[[Run], object]
) -> None:
    pool, gate, client = new_pool(slots=1), Gate(), Client()

    def late(run: Run) -> object:
        gate.ask(run)
        return endless(run)

    leaving = start(pool, late, client.receive)
    await until(lambda: gate.running == 1)
    client.leave()
    with pytest.raises(Disconnected):
        await leaving
    gate.open.set()
    assert await start(pool, lambda _: "next") == "next"


async def test_closing_ends_what_runs(endless: Callable[[Run], object]) -> None:
    pool = HistoryPool(Limits(2, 8, PATIENCE_S, PATIENCE_S))
    asked = start(pool, endless)
    await until(lambda: bool(pool._runs))
    await pool.close()
    with pytest.raises(InterruptException):
        await asked


async def test_what_a_question_raises_is_raised_and_frees_its_slot(new_pool: Callable[..., HistoryPool]) -> None:
    pool = new_pool(slots=1)

    def fail(_: Run) -> None:
        raise NotFound

    for _ in range(3):
        with pytest.raises(NotFound):
            await start(pool, fail)
