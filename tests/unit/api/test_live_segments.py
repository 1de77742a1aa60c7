"""The live set: at most a second old, and kept while PostgreSQL is down."""

import asyncio

import pytest

from services.api import kept
from services.api.database import DatabaseUnavailable
from services.api.errors import Unavailable
from services.api.live_segments import LiveSegments


class Database:
    """What PostgreSQL would answer."""

    def __init__(self) -> None:
        self.ids = frozenset({1, 2})
        self.reads = 0
        self.down = False
        self.gate: asyncio.Event | None = None

    async def read(self, tenant: int) -> frozenset[int]:
        self.reads += 1
        ids = self.ids
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise DatabaseUnavailable("down")
        return ids


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(kept, "time", moved)
    return moved


async def test_a_set_is_read_once_for_all_who_ask_within_a_second(time: Time) -> None:
    database = Database()
    live = LiveSegments(database.read)
    assert await asyncio.gather(*(live.of(1) for _ in range(10))) == [database.ids] * 10
    assert database.reads == 1
    time.now_s += 0.4
    assert live.cached(1) == database.ids
    assert database.reads == 1


async def test_a_set_is_refreshed_behind_the_answer_and_never_older_than_a_second(time: Time) -> None:
    database = Database()
    live = LiveSegments(database.read)
    await live.of(1)
    database.ids = frozenset({3})
    time.now_s += 0.6
    assert live.cached(1) == frozenset({1, 2})
    for _ in range(3):  # the refresh begins, reads, ends
        await asyncio.sleep(0)
    assert live.cached(1) == frozenset({3})
    assert database.reads == 2
    database.ids = frozenset({4})
    time.now_s += 1.0
    assert live.cached(1) is None
    assert await live.of(1) == frozenset({4})


async def test_the_last_set_stays_while_the_database_is_down(time: Time) -> None:
    database = Database()
    live = LiveSegments(database.read)
    await live.of(1)
    database.down = True
    time.now_s += 100
    assert await live.of(1) == frozenset({1, 2})
    reads = database.reads
    assert await live.of(1) == frozenset({1, 2})
    assert database.reads == reads, "an outage is not asked about by every lookup"
    database.down, database.ids = False, frozenset({9})
    time.now_s += 1
    assert await live.of(1) == frozenset({9})


async def test_without_any_set_a_lookup_is_refused(time: Time) -> None:
    database = Database()
    database.down = True
    with pytest.raises(Unavailable):
        await LiveSegments(database.read).of(1)


async def test_what_was_read_before_a_change_is_not_taken_for_after_it(time: Time) -> None:
    database = Database()
    live = LiveSegments(database.read)
    await live.of(1)
    time.now_s += 0.6
    database.gate = asyncio.Event()
    live.cached(1)
    await asyncio.sleep(0)  # the refresh has read the old set and waits
    database.ids = frozenset({1})
    live.forget(1)
    asking = asyncio.create_task(live.of(1))
    await asyncio.sleep(0)
    database.gate.set()
    assert await asking == frozenset({1})
    assert live.cached(1) == frozenset({1})
