"""Messages of the topic `events` again, from the history: for an evaluator that has lost its changelog."""

from collections.abc import Iterator
from typing import NamedTuple

import duckdb
import msgspec

from shared.contracts.event import EventMessage, encode_event
from shared.contracts.keys import user_key
from shared.history.arrow_columns import integers, texts

BATCH = 2_048
"""Events read at a time."""

_IN_ORDER = """
SELECT log_offset, epoch_ms(received_at) AS received_ms, tenant, user_id, event_type, event_id, payload,
    strftime(occurred_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS occurred_at
FROM events
WHERE log_epoch = $log_epoch AND log_partition = $partition AND log_offset >= $start AND log_offset < $end
ORDER BY log_offset
"""


class LoggedEvent(NamedTuple):
    """A message of `events` that decodes to what the first one did; the payload as the history keeps it."""

    offset: int
    received_ms: int
    key: bytes
    value: bytes


def replayed(
    cursor: duckdb.DuckDBPyConnection, log_epoch: str, partition: int, start: int, end: int
) -> Iterator[list[LoggedEvent]]:
    """All events of all tenants with start <= offset < end in a partition, repeats included, in the order of the log.

    Args:
        cursor: with the relation `events`; nothing else may use it until the last batch is read.
        log_epoch: the topic id of `events`.
        partition: of that topic.
        start: the first offset.
        end: the offset to stop before.

    Raises:
        duckdb.Error: a file cannot be read, or the cursor was interrupted.
    """
    bound = {"log_epoch": log_epoch, "partition": partition, "start": start, "end": end}
    with cursor.sql(_IN_ORDER, params=bound).to_arrow_reader(BATCH) as reader:
        for batch in reader:
            numbers = [integers(batch.column(name)) for name in ("log_offset", "received_ms", "tenant")]
            strings = ("user_id", "event_type", "occurred_at", "payload", "event_id")
            rows = zip(*numbers, *(texts(batch.column(name)) for name in strings), strict=True)
            yield [
                LoggedEvent(offset, received_ms, user_key(tenant, user_id), _value(tenant, user_id, *event))
                for offset, received_ms, tenant, user_id, *event in rows
            ]


def _value(tenant: int, user_id: str, event_type: str, occurred_at: str, payload: str, event_id: str | None) -> bytes:
    message = EventMessage(user_id, event_type, occurred_at, msgspec.json.decode(payload), event_id)
    return encode_event(message, tenant)
