"""Synthetic events as the history holds them once its files are compacted: sorted by event type and user.

What an event is follows from its number alone, so every build of one size is the same. Users and types are uneven, as
they are: a tenth of the users sends 3 in 10 events.
"""

from pathlib import Path

import duckdb

from shared.domain.times import DAY_US, SECOND_US

EVENTS = 10_000_000
QUICK = 1_000_000
USERS_PER_EVENT = 0.02
PARTITIONS = 8
DAYS = 120
START_US = 1_750_000_000 * SECOND_US
END_US = START_US + DAYS * DAY_US
"""The instant of the first event, and one after the last; microseconds since 1970."""
TENANT = 1
LOG_EPOCH = "bench"

TYPES = ("page_viewed", "cart_add", "login", "search", "order_placed", "email_opened", "context_identified")
"""The most frequent of the 40 types; the others are `other_7` and so on."""

_DRAWN = """
CREATE TABLE drawn AS
SELECT number,
    'user-' || lpad((floor({users} * pow((hash(number, 'user') % 1000003) / 1000003, 1.3)))::BIGINT::VARCHAR, 7, '0')
        AS user_id,
    floor(40 * pow((hash(number, 'type') % 1000003) / 1000003, 2.5))::INTEGER AS type,
    make_timestamp({start_us} + number * {step_us}) AS received_at,
    (hash(number, 'number') >> 1)::BIGINT AS dice
FROM range({events}) AS numbers(number)
"""

_EVENTS = """
CREATE TABLE built AS
SELECT {tenant}::BIGINT AS tenant,
    user_id,
    coalesce($types[type + 1], 'other_' || type) AS event_type,
    (received_at - to_microseconds(CASE WHEN dice % 50 = 0 THEN dice % 90000000 ELSE 0 END))
        AT TIME ZONE 'UTC' AS occurred_at,
    received_at AT TIME ZONE 'UTC' AS received_at,
    NULL::VARCHAR AS event_id,
    '{{"total":' || (dice % 10000)::DECIMAL(12, 2) / 100 || ',"plan":"' || ['free', 'pro', 'team'][dice % 7 % 3 + 1]
        || '","path":"' || ['/', '/pricing', '/docs', '/blog/2026'][dice % 11 % 4 + 1]
        || '","tier":"' || ['gold', 'silver', 'none'][dice % 13 % 3 + 1] || '"}}' AS payload,
    '{log_epoch}' AS log_epoch,
    (hash(user_id) % {partitions})::INTEGER AS log_partition,
    number AS log_offset,
    dice % 1000 = 0 AND NOT makes_known AS is_repeat,
    strftime(received_at, '%Y-%m') AS month,
    makes_known
FROM (SELECT *, number = min(number) OVER (PARTITION BY user_id) AS makes_known FROM drawn)
"""

_FILES = """
COPY (SELECT * FROM built ORDER BY event_type, user_id)
TO '{folder}' (FORMAT PARQUET, COMPRESSION ZSTD, PARTITION_BY (month, makes_known))
"""


def history_files(folder: Path, events: int) -> list[str]:
    """The Parquet files of so many events, as the partitions of the Delta table hold them; made when missing."""
    target = folder / f"events-{events}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(target, events)
    return sorted(map(str, target.glob("**/*.parquet")))


def _build(target: Path, events: int) -> None:
    values = {
        "users": int(events * USERS_PER_EVENT),
        "start_us": START_US,
        "step_us": DAYS * DAY_US // events,
        "events": events,
        "tenant": TENANT,
        "log_epoch": LOG_EPOCH,
        "partitions": PARTITIONS,
    }
    with duckdb.connect(str(target.with_suffix(".building"))) as connection:
        # one thread writes one sorted file for each partition
        connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
        connection.execute(_DRAWN.format(**values))
        connection.execute(_EVENTS.format(**values), {"types": list(TYPES)})
        unfinished = target.with_suffix(".unfinished")
        connection.execute(_FILES.format(folder=unfinished))
    unfinished.rename(target)
    target.with_suffix(".building").unlink()
