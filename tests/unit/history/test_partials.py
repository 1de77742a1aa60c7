"""Partials from the history: which rows count, of how many users at a time, and how long lists get."""

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest

from shared.domain import bucket, sequence
from shared.domain.event import Event
from shared.domain.plan import SlotPlan
from shared.domain.times import SECOND_US
from shared.history import partials
from shared.history.known_users import KnownUsers, Range
from shared.history.partial_kinds import gathered
from shared.history.partials import Found, partials_of
from shared.history.rows_by_user import RowsByUser
from shared.history.want import Want
from tests.support.archived import LOG_EPOCH, Owned
from tests.support.kernel import fold_all, plan_of, trimmed
from tests.support.partials import TENANT, found_of, opened, want_of

START = 1_790_000_000 * SECOND_US
PARTITIONS = 4
VIEWS = {"type": "event_count", "event_type": "view", "operator": "gte", "value": 1}
RECENT = {"type": "recency", "event_type": "view", "operator": "lte", "window_days": 1}

MANY_USERS = f"""
CREATE VIEW events AS SELECT {TENANT} AS tenant, lpad((range % 100000)::VARCHAR, 20, '0') AS user_id,
    'view' AS event_type, make_timestamp({START} + range) AS occurred_at, '{LOG_EPOCH}' AS log_epoch,
    0 AS log_partition, range AS log_offset, '{{}}' AS payload, false AS is_repeat, range < 100000 AS makes_known
FROM range(300000)
"""


def events(user_id: str, offsets: Sequence[int], event_type: str = "view") -> list[Event]:
    """An event a second, in this order; late are those whose offset is odd."""
    received = [START + offset * SECOND_US for offset in offsets]
    return [
        Event(user_id, event_type, at - offset % 2 * 3 * SECOND_US, at, offset, {"total": offset % 7})
        for offset, at in zip(offsets, received, strict=True)
    ]


def slot_of(condition: dict[str, Any]) -> SlotPlan:
    (slot,) = plan_of([{"logic": "AND", "conditions": [condition]}]).slots.values()
    return slot


def everywhere(slot: SlotPlan, below: int = 1 << 62) -> Want:
    return want_of(slot, dict.fromkeys(range(PARTITIONS), below))


@pytest.fixture
def two_tenants() -> Iterator[duckdb.DuckDBPyConnection]:
    rows: list[Owned] = [(TENANT, event) for number in range(20) for event in events(f"user-{number}", range(10))]
    rows += [(TENANT + 1, event) for event in events("user-1", range(10))]
    with opened(rows, PARTITIONS) as connection:
        yield connection


def test_each_want_counts_what_lies_below_its_own_cutovers(two_tenants: duckdb.DuckDBPyConnection) -> None:
    count, newest = slot_of(VIEWS), slot_of(RECENT)
    as_of = START + 60 * SECOND_US
    whole = found_of(two_tenants, [everywhere(count)], as_of)
    assert len(whole) == 20
    mine = whole["user-1"].partition
    wants = [want_of(count, {mine: 4}), everywhere(newest, 7), want_of(count, {}), want_of(count, {PARTITIONS: 9})]
    found = found_of(two_tenants, wants, as_of)
    assert found["user-1"].partials == [[4], [START + 6 * SECOND_US], None, None]
    elsewhere = next(one for one in found.values() if one.partition != mine)
    assert elsewhere.partials == [None, [START + 6 * SECOND_US], None, None]


def test_rows_of_another_log_or_tenant_do_not_count(two_tenants: duckdb.DuckDBPyConnection) -> None:
    wants = [everywhere(slot_of(VIEWS))]
    assert found_of(two_tenants, wants, START)["user-1"].partials == [[10]]
    assert list(partials_of(two_tenants, TENANT, "another log", wants, START)) == []
    assert list(partials_of(two_tenants, TENANT + 2, LOG_EPOCH, wants, START)) == []
    assert list(partials_of(two_tenants, TENANT, LOG_EPOCH, [], START)) == []
    assert list(partials_of(two_tenants, TENANT, LOG_EPOCH, [want_of(slot_of(VIEWS), {})], START)) == []
    (batch,) = partials_of(two_tenants, TENANT + 1, LOG_EPOCH, wants, START)
    assert batch == [Found(batch[0].partition, "user-1", [[10]])]


def test_many_passes_find_each_user_once(
    two_tenants: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = [everywhere(slot_of(VIEWS)), everywhere(slot_of(RECENT | {"event_type": "order"}))]
    at_once = found_of(two_tenants, wants, START)
    monkeypatch.setattr(partials, "MEMORY_SHARE", 1e-9)
    assert len(list(partials_of(two_tenants, TENANT, LOG_EPOCH, wants, START))) > 5
    assert found_of(two_tenants, wants, START) == at_once


def test_a_pass_that_needs_too_much_is_divided_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    want = everywhere(slot_of(VIEWS | {"value": 1_000, "window_days": 1}))
    rows = RowsByUser(TENANT, LOG_EPOCH, [want])
    gathered(want, rows, START)
    at_once = rows.statement(Range(None, None))
    monkeypatch.setattr(partials, "MEMORY_SHARE", 1_000)  # nothing is divided beforehand
    with duckdb.connect() as connection:
        connection.execute(MANY_USERS)
        whole = found_of(connection, [want], START)
        assert len(whole) == 100_000
        connection.execute("SET memory_limit = '8MB'; SET temp_directory = ''; SET threads = 1")
        with pytest.raises(duckdb.OutOfMemoryException):
            connection.sql(at_once.sql, params=at_once.parameters).fetchall()
        assert found_of(connection, [want], START) == whole


def test_a_range_is_divided_as_far_as_there_are_users(two_tenants: duckdb.DuckDBPyConnection) -> None:
    known = KnownUsers(two_tenants, TENANT, list(range(PARTITIONS)))
    assert known.count() >= 20
    ids = sorted(f"user-{number}" for number in range(20))
    assert known.divided(Range(None, None), 1) == [Range(None, None)]
    assert known.divided(Range(None, None), 2) == [Range(None, ids[10]), Range(ids[10], None)]
    assert known.divided(Range(ids[3], ids[5]), 9) == [Range(ids[3], ids[4]), Range(ids[4], ids[5])]
    assert partials._halves(Range(ids[3], ids[5]), known) == known.divided(Range(ids[3], ids[5]), 2)
    with pytest.raises(duckdb.OutOfMemoryException):
        partials._halves(Range(ids[3], ids[4]), known)


@pytest.mark.parametrize(
    "condition",
    [
        VIEWS | {"value": 5_000, "window_days": 1},
        {
            "type": "monetary",
            "event_type": "view",
            "property": "total",
            "metric": "max",
            "operator": "gte",
            "value": 6,
            "window_days": 1,
        },
        {"type": "event_sequence", "events": ["view", "order"], "window_days": 1},
        {"type": "event_sequence", "events": ["view", "order"], "window_days": 1, "strict": True},
    ],
    ids=["times", "pairs", "sequence", "strict sequence"],
)
def test_long_lists_are_bounded(condition: dict[str, Any]) -> None:
    log = events("u", range(6_000))
    slot, plan = slot_of(condition), plan_of([{"logic": "AND", "conditions": [condition]}])
    as_of = log[-1].received_at
    with opened([(TENANT, event) for event in log], PARTITIONS) as connection:
        (partial,) = found_of(connection, [everywhere(slot)], as_of)["u"].partials
    assert partial is not None
    kernel = trimmed(plan, fold_all(plan, log), as_of)[slot.key]
    if slot.aggregate.kind == "sequence":
        assert partial == kernel
        assert sequence.lost_events(partial) == 6_000 - sequence.LIMIT
        return
    assert partial[0] > 0  # some are in buckets
    assert slot.verbs.value(partial, as_of, None) == slot.verbs.value(kernel, as_of, None)
    assert len(partial) < 2 * bucket.LIMIT + 5 * 2_049
