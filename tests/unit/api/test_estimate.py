"""Estimates over a real history of many users."""

from pathlib import Path

import duckdb
import pytest

from services.api.history import Opened
from services.api.use_cases.previews import SAMPLED_USERS, Estimate, Question, estimate
from shared.domain.definition import parse_definition
from shared.history.engine import Engine
from shared.history.schema import EVENTS

NOW_US = 1_800_000_000_000_000
KINDS = 10
USERS = """
SELECT tenant::BIGINT AS tenant, 'u' || n AS user_id, 'type-' || n % {kinds} AS event_type,
  make_timestamptz(n) AS occurred_at, make_timestamptz(n) AS received_at, NULL::VARCHAR AS event_id, '{{}}' AS payload,
  'log' AS log_epoch, 0::INTEGER AS log_partition, n AS log_offset, false AS is_repeat, '1970-01' AS month,
  true AS makes_known
FROM range({users}) AS numbers(n), range(1, 3) AS tenants(tenant)
"""


def estimates(folder: Path, users: int) -> list[Estimate]:
    """Of so many users of tenant 1, for each type of event those who have one, which are equally many."""
    with duckdb.connect() as connection:
        rows = connection.sql(USERS.format(users=users, kinds=KINDS))
        assert rows.columns == EVENTS.columns.names
        rows.to_parquet(str(folder / "events"), partition_by=["month", "makes_known"])
    count = {"type": "event_count", "operator": "gte", "value": 1}
    definitions = [{"logic": "AND", "conditions": [{**count, "event_type": f"type-{n}"}]} for n in range(KINDS)]
    engine = Engine([folder], folder / "temp", memory_mb=200, threads=1)
    with engine.session([str(path) for path in folder.glob("events/**/*.parquet")]) as cursor:
        opened = Opened(cursor, NOW_US, NOW_US)
        found = [estimate(Question(1, parse_definition(each), {}), opened) for each in definitions]
    engine.close()
    return found


def test_few_users_are_all_looked_at(tmp_path: Path) -> None:
    exact = 3_900
    assert estimates(tmp_path, KINDS * exact) == [Estimate(exact, exact, exact, 1.0, NOW_US)] * KINDS


def test_of_many_users_a_part_is_looked_at_and_the_exact_number_lies_between_the_bounds(tmp_path: Path) -> None:
    exact = SAMPLED_USERS // 2
    found = estimates(tmp_path, KINDS * exact)
    assert all(each.low < each.estimated_users < each.high for each in found)
    assert all(each.high - each.low < exact / 8 for each in found)
    assert sum(each.low <= exact <= each.high for each in found) >= KINDS - 1
    assert [each.sample_rate for each in found] == [pytest.approx(0.2, abs=0.01)] * KINDS
