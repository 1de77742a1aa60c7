"""What history says of a sample: whom it may hold, and which events count."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.api.audit.comparison import Reading
from services.api.audit.recomputation import members_by_history, sample
from shared.contracts.event import EventMessage
from shared.domain.bucket import LIMIT
from shared.domain.definition import parse_definition
from shared.history.address import HistoryAddress
from shared.history.engine import Engine
from shared.history.snapshot import HistoryReader
from tests.support.archived import LOG_EPOCH, logged, write_events

NOW_US = 1_790_000_000_000_000
ORDERED_TWICE = parse_definition(
    {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "order", "operator": "gte", "value": 2}]}
)
FEWER = parse_definition(
    {"logic": "AND", "conditions": [{"type": "segment_membership", "segment_id": 1, "operator": "not_in"}]}
)


class Archive:
    """A history of one partition."""

    def __init__(self, folder: Path) -> None:
        self._address = HistoryAddress.of(str(folder / "history"))
        self._engine = Engine([folder], folder, memory_mb=200, threads=1)

    def write(self, orders: list[tuple[int, str]], log_epoch: str = LOG_EPOCH) -> None:
        """Orders of (tenant, user), one after the other."""
        messages = [(tenant, EventMessage(user, "order"), NOW_US + n) for n, (tenant, user) in enumerate(orders)]
        write_events(self._address, logged(messages, 1), 1, log_epoch)

    def sample(self, tenant: int = 1, limit: int = 100, seed: int = 1) -> list[str]:
        with self._engine.session(self._files()) as session:
            return sorted(sample(session, LOG_EPOCH, tenant, 0, limit, seed))

    def members(self, users: list[str], next_offset: int) -> tuple[set[str], dict[int, set[str]]]:
        reading = Reading(1, NOW_US + 1_000_000, 0, LOG_EPOCH, next_offset, dict.fromkeys(users))
        asked = {1: ORDERED_TWICE, 2: FEWER}
        with self._engine.session(self._files()) as session:
            return members_by_history(session, 1, reading, asked, {1: ORDERED_TWICE})

    def close(self) -> None:
        self._engine.close()

    def _files(self) -> tuple[str, ...]:
        return HistoryReader(self._address, 1).snapshot(LOG_EPOCH).files


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(tmp_path)
    yield made
    made.close()


def test_only_the_users_asked_about_and_the_events_below_the_offset_count(archive: Archive) -> None:
    archive.write([(1, "ann"), (1, "bob"), (2, "ann"), (1, "ann"), (1, "bob"), (1, "cy")])
    assert archive.members(["ann", "bob", "cy"], 4) == ({"ann", "bob"}, {1: {"ann"}, 2: {"bob"}})
    assert archive.members(["ann", "bob", "cy"], 6) == ({"ann", "bob", "cy"}, {1: {"ann", "bob"}, 2: {"cy"}})
    assert archive.members(["cy"], 6) == ({"cy"}, {1: set(), 2: {"cy"}})


def test_a_sample_is_of_one_tenant_and_of_chance(archive: Archive) -> None:
    archive.write([(1, f"user-{n}") for n in range(50)] + [(2, "other")])
    drawn = [archive.sample(limit=10, seed=seed) for seed in range(3)]
    assert {len(users) for users in drawn} == {10}
    assert drawn[0] != drawn[1] != drawn[2]
    assert archive.sample() == sorted(f"user-{n}" for n in range(50))
    assert archive.sample(tenant=2) == ["other"]


def test_users_whose_live_answer_need_not_be_that_of_history_are_not_drawn(archive: Archive) -> None:
    archive.write([(1, "of both logs"), (1, "of the old one")], "old")
    archive.write([(1, "of both logs"), (1, "usual"), *[(1, "most")] * LIMIT, *[(1, "hot")] * (LIMIT + 1)])
    assert archive.sample() == ["most", "usual"]
