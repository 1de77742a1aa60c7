"""The columns of the event history: one row for every valid event of the log, at its place in it."""

import pyarrow as pa

EVENTS_TABLE = "events"
"""Folder of the Delta table below the history's address."""

COLUMNS = pa.schema(
    [
        pa.field("tenant", pa.int64(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("occurred_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("event_id", pa.string()),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("log_epoch", pa.string(), nullable=False),
        pa.field("log_partition", pa.int32(), nullable=False),
        pa.field("log_offset", pa.int64(), nullable=False),
        pa.field("is_repeat", pa.bool_(), nullable=False),
        pa.field("month", pa.string(), nullable=False),
        pa.field("makes_known", pa.bool_(), nullable=False),
    ]
)
"""`occurred_at` is never later than `received_at`. payload: the JSON object, encoded anew: of duplicate keys the last,
every number rounded half-even to 6 fraction digits as the kernel reads it, so that SQL never rounds. log_epoch: the
topic id of `events`. is_repeat: the user had its `event_id` less than 24 h before, so it counts for nothing.
month: `YYYY-MM` of `received_at`. makes_known: it counts, and no earlier row of the user that counts, in the order of
the log, occurred as early; so the users known at an instant are those with such a row at or before it.
"""

PARTITION_BY = ["month", "makes_known"]
"""Columns of the table that are folders, not in the files."""

FILE_COLUMNS = pa.schema([field for field in COLUMNS if field.name not in PARTITION_BY])
"""What a file of the table holds."""
