"""Kept values: how long they stay while PostgreSQL is away, and that they fill no memory."""

import pytest

from services.api import kept
from services.api.database import DatabaseUnavailable
from services.api.errors import Unavailable
from services.api.kept import Kept
from tests.unit.api.test_live_segments import Time


class Away:
    """PostgreSQL, which goes away."""

    def __init__(self) -> None:
        self.is_away = False
        self.asked: list[int] = []

    async def read(self, key: int) -> str:
        self.asked.append(key)
        if self.is_away:
            raise DatabaseUnavailable("away")
        return f"value {key}"


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(kept, "time", moved)
    return moved


async def test_in_an_outage_a_value_stays_for_its_time_and_no_longer(time: Time) -> None:
    database = Away()
    values = Kept("the values", database.read, 4.0, stays_s=60.0)
    assert await values.of(1) == "value 1"
    database.is_away = True
    time.now_s += 59
    assert await values.of(1) == "value 1"
    time.now_s += 2
    with pytest.raises(Unavailable, match="the values cannot be read"):
        await values.of(1)
    database.is_away = False
    time.now_s += 2
    assert await values.of(1) == "value 1"


async def test_what_was_forgotten_does_not_stay_in_an_outage(time: Time) -> None:
    database = Away()
    values = Kept("the values", database.read, 4.0, stays_s=60.0)
    await values.of(1)
    database.is_away = True
    values.forget(1)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await values.of(1)
    assert time.now_s


async def test_many_keys_push_out_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_MOST", 3)
    database = Away()
    values = Kept("the values", database.read, 4.0)
    for key in (1, 2, 3, 4):
        await values.of(key)
    assert (values.cached(1), values.cached(4)) == (None, "value 4")
    assert len(values._known) == 3
