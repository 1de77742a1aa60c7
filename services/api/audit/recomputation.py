"""The answers of history about a sample of users: their rows are copied once, every segment is asked about the copy.

All of it blocks, in the thread of its caller.
"""

from collections.abc import Mapping, Sequence

from duckdb import DuckDBPyConnection

from services.api.audit.comparison import Reading
from shared.domain.bucket import LIMIT
from shared.domain.definition import Definition
from shared.history.compile_sql import members_sql
from shared.history.engine import fetch
from shared.history.statement import Statement

_MAX_ROWS = 100_000
"""Of a sample: some 50 MB, if payloads are as long as usual."""

_SAMPLE = """
WITH known AS (
  SELECT DISTINCT user_id FROM events WHERE tenant = $tenant AND log_partition = $partition AND makes_known
), chosen AS (
  SELECT user_id FROM known ORDER BY hash(user_id, $seed) LIMIT $limit
)
SELECT user_id, count(*), bool_and(log_epoch = $log_epoch) FROM events
WHERE tenant = $tenant AND user_id IN (FROM chosen) GROUP BY user_id
"""
_COPY = """
CREATE TEMP TABLE sampled AS SELECT * FROM events
WHERE tenant = $tenant AND user_id IN (SELECT unnest($users))
  AND log_epoch = $log_epoch AND log_offset < $next_offset
"""
_ONLY_THE_COPY = "CREATE OR REPLACE TEMP VIEW events AS FROM sampled"
_FOUND = "SELECT DISTINCT user_id FROM events"


def sample(
    session: DuckDBPyConnection, log_epoch: str, tenant: int, partition: int, limit: int, seed: int
) -> list[str]:
    """At most so many known users of a partition, chosen by chance: another `seed`, other users.

    Left out are users with so many events that the live answer may be approximate, those with events of another log,
    and those beyond a bound of rows.
    """
    values = {"log_epoch": log_epoch, "tenant": tenant, "partition": partition, "limit": limit, "seed": seed}
    users, rows = [], 0
    for user_id, count, is_of_log in fetch(session, Statement(_SAMPLE, values)):
        if is_of_log and count <= LIMIT and rows + count <= _MAX_ROWS:
            users.append(user_id)
            rows += count
    return users


def members_by_history(
    session: DuckDBPyConnection,
    tenant: int,
    reading: Reading,
    asked: Mapping[int, Definition],
    referenced: Mapping[int, Definition],
) -> tuple[set[str], dict[int, set[str]]]:
    """Which of the users of a reading history knows, and by segment which of them are members, as of the reading.

    Only events count that the reading has; the history of the session must reach its offset. The session is used up:
    afterwards its view `events` is the sample. `referenced`: the active definitions that those asked refer to.
    """
    users: Sequence[str] = list(reading.values)
    session.execute(
        _COPY,
        {"tenant": tenant, "users": users, "log_epoch": reading.log_epoch, "next_offset": reading.next_offset},
    )
    session.execute(_ONLY_THE_COPY)
    found = {user_id for (user_id,) in fetch(session, Statement(_FOUND, {}))}
    members = {
        segment_id: {
            user_id for (user_id,) in fetch(session, members_sql(definition, tenant, reading.clock, referenced))
        }
        for segment_id, definition in asked.items()
    }
    return found, members
