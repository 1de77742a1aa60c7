"""Estimates over a real history of many users."""

from pathlib import Path

import duckdb
import pytest

from services.api.history import Opened
from services.api.use_cases.previews import SAMPLED_USERS, Estimate, Question, estimate, preview
from shared.domain.definition import parse_definition
from shared.history.engine import Engine
from shared.history.schema import COLUMNS

NOW_US = 1_800_000_000_000_000
USERS = """
SELECT tenant::BIGINT AS tenant, 'u' || n AS user_id, CASE WHEN n % 5 = 0 THEN 'order' ELSE 'seen' END AS event_type,
  make_timestamptz(n) AS occurred_at, make_timestamptz(n) AS received_at, NULL::VARCHAR AS event_id, '{{}}' AS payload,
  'log' AS log_epoch, 0::INTEGER AS log_partition, n AS log_offset, false AS is_repeat, '1970-01' AS month,
  true AS makes_known
FROM range({users}) AS numbers(n), range(1, 3) AS tenants(tenant)
"""


def estimated(folder: Path, users: int) -> tuple[Estimate, int]:
    """The estimate of one fifth of so many users of tenant 1, and how many it is exactly."""
    with duckdb.connect() as connection:
        rows = connection.sql(USERS.format(users=users))
        assert rows.columns == COLUMNS.names
        rows.to_parquet(str(folder / "events"), partition_by=["month", "makes_known"])
    condition = {"type": "event_count", "event_type": "order", "operator": "gte", "value": 1}
    question = Question(1, parse_definition({"logic": "AND", "conditions": [condition]}), {})
    engine = Engine([folder], folder / "temp", memory_mb=200, threads=1)
    with engine.session([str(path) for path in folder.glob("events/**/*.parquet")]) as cursor:
        opened = Opened(cursor, NOW_US, NOW_US)
        found = estimate(question, opened), preview(question, opened, 1, None).matched_users
    engine.close()
    return found


def test_few_users_are_all_looked_at(tmp_path: Path) -> None:
    found, exact = estimated(tmp_path, 2 * SAMPLED_USERS - 1)
    assert found == Estimate(exact, exact, exact, 1.0, NOW_US)


def test_of_many_users_a_part_is_looked_at_and_the_exact_number_is_near_the_bounds(tmp_path: Path) -> None:
    found, exact = estimated(tmp_path, 5 * SAMPLED_USERS)
    assert exact == SAMPLED_USERS
    assert found.low < found.estimated_users < found.high
    width = found.high - found.low
    # 95 of 100 lie between them; which users a hash draws is nobody's choice
    assert found.low - width < exact < found.high + width < exact * 1.2
    assert found.sample_rate == pytest.approx(0.2, abs=0.01)
