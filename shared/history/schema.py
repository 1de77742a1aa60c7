"""The tables of the history and their columns: the events of the log, and what came of them, the membership changes."""

from typing import NamedTuple

import pyarrow as pa


class TableSchema(NamedTuple):
    """One Delta table.

    name: its folder below the history's address, and what its rows are. partition_by: columns that are folders, not
    in the files. order: of the rows in merged files, as SQL. counted: names of the numbers in its commits that a
    snapshot carries. kept: how long files stay that left the table, and commits after a later checkpoint: each look at
    the table reads their names.
    """

    name: str
    columns: pa.Schema
    partition_by: tuple[str, ...]
    order: str
    counted: tuple[str, ...] = ()
    kept: str = "interval 2 hours"

    @property
    def file_columns(self) -> pa.Schema:
        """What a file of the table holds."""
        return pa.schema([field for field in self.columns if field.name not in self.partition_by])


_INSTANT = pa.timestamp("us", tz="UTC")

EVENTS = TableSchema(
    "events",
    pa.schema(
        [
            pa.field("tenant", pa.int64(), nullable=False),
            pa.field("user_id", pa.string(), nullable=False),
            pa.field("event_type", pa.string(), nullable=False),
            pa.field("occurred_at", _INSTANT, nullable=False),
            pa.field("received_at", _INSTANT, nullable=False),
            pa.field("event_id", pa.string()),
            pa.field("payload", pa.string(), nullable=False),
            pa.field("log_epoch", pa.string(), nullable=False),
            pa.field("log_partition", pa.int32(), nullable=False),
            pa.field("log_offset", pa.int64(), nullable=False),
            pa.field("is_repeat", pa.bool_(), nullable=False),
            pa.field("month", pa.string(), nullable=False),
            pa.field("makes_known", pa.bool_(), nullable=False),
        ]
    ),
    partition_by=("month", "makes_known"),
    order="tenant, event_type, user_id, occurred_at, log_offset",
)
"""One row for every valid event of the log, at its place in it.

`occurred_at` is never later than `received_at`. payload: the JSON object, encoded anew: of duplicate keys the last,
every number rounded half-even to 6 fraction digits as the kernel reads it, so that SQL never rounds. log_epoch: the
topic id of `events`. is_repeat: the user had its `event_id` less than 24 h before, so it counts for nothing.
month: `YYYY-MM` of `received_at`. makes_known: it counts, and no earlier row of the user that counts, in the order of
the log, occurred as early; so the users known at an instant are those with such a row at or before it.
"""

FEED = "feed"
"""Number of the table of changes: the last position that is given."""
LOST_UNTIL = "lost_until"
"""Number of the table of changes: changes sent before this instant (microseconds since 1970) may not be in it."""

CHANGES = TableSchema(
    "changes",
    pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            pa.field("tenant", pa.int64(), nullable=False),
            pa.field("segment_id", pa.int64(), nullable=False),
            pa.field("version", pa.int64(), nullable=False),
            pa.field("user_id", pa.string(), nullable=False),
            pa.field("change", pa.string(), nullable=False),
            pa.field("turned_at", _INSTANT, nullable=False),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("generation", pa.int64(), nullable=False),
            pa.field("sequence", pa.int64(), nullable=False),
            pa.field("log_epoch", pa.string(), nullable=False),
            pa.field("log_partition", pa.int32(), nullable=False),
            pa.field("log_offset", pa.int64(), nullable=False),
            pa.field("month", pa.string(), nullable=False),
        ]
    ),
    partition_by=("month",),
    order="tenant, segment_id, position",
    counted=(FEED, LOST_UNTIL),
    kept="interval 15 minutes",
)
"""One row for every turn of a membership.

position: from 1 on, without a gap, in the order of archiving, which keeps that of each user. The changes of one user
in one segment are `entered` and `exited` by turns. log_epoch: the topic id of `membership-changes`. month: `YYYY-MM`
of when the change was sent.
"""
