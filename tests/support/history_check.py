"""The history held against the log: each usable event once, marked as the language says, and nothing else."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import duckdb
from confluent_kafka.admin import AdminClient

from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import checked_key
from shared.contracts.topics import EVENTS, MEMBERSHIP_CHANGES
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.history import schema as tables
from shared.history.address import HistoryAddress
from shared.history.payload_text import payload_text
from shared.history.schema import CHANGES, TableSchema
from shared.history.snapshot import HistoryReader, Snapshot
from shared.runtime.kafka import topic_id
from tests.support.oracle import counted
from tests.support.stream import Stream

_COLUMNS = (
    "tenant, user_id, log_partition, log_offset, event_type, epoch_us(occurred_at), epoch_us(received_at), event_id, "
    "payload, is_repeat, makes_known, month = strftime(received_at, '%Y-%m')"
)
_TOPICS = {tables.EVENTS.name: EVENTS, CHANGES.name: MEMBERSHIP_CHANGES}
User = tuple[int, str]


def log_epoch_of(stream: Stream, table: TableSchema = tables.EVENTS) -> str:
    """The id of the topic that is archived in a table."""
    return topic_id(AdminClient({"bootstrap.servers": stream.bootstrap, "log_level": 0}), _TOPICS[table.name])


def snapshot_of(stream: Stream, address: HistoryAddress) -> Snapshot:
    """The newest."""
    return HistoryReader(address, stream.partitions).snapshot(log_epoch_of(stream, address.schema))


def rows_of(snapshot: Snapshot, columns: str = "*") -> list[tuple[Any, ...]]:
    """All rows of the files."""
    if not snapshot.files:
        return []
    known = ", 'makes_known': BOOLEAN" if "makes_known=" in snapshot.files[0] else ""
    types = f"hive_types = {{'month': VARCHAR{known}}}"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        return database.execute(
            f"SELECT {columns} FROM read_parquet(?, hive_partitioning = true, {types})", [list(snapshot.files)]
        ).fetchall()


def differences(stream: Stream, snapshot: Snapshot) -> list[str]:
    """What is wrong with the history of this log up to where it says it reaches; empty: nothing."""
    expected = Counter(_expected(stream, snapshot))
    found = Counter(rows_of(snapshot, _COLUMNS))
    missing = [f"missing {row}" for row in (expected - found).elements()]
    return missing + [f"too much {row}" for row in (found - expected).elements()]


def is_complete(stream: Stream, snapshot: Snapshot, table: TableSchema = tables.EVENTS) -> bool:
    """Whether it reaches the end of the log, the markers of transactions included."""
    ends = stream.end_offsets(_TOPICS[table.name])
    return all(snapshot.next_offsets.get(p, 0) == end for p, end in ends.items())


def _expected(stream: Stream, snapshot: Snapshot) -> list[tuple[Any, ...]]:
    users: dict[User, list[tuple[int, Event]]] = {}
    for message in stream.read(EVENTS, stream.partitions):
        partition, offset = message.partition() or 0, message.offset() or 0
        if offset >= snapshot.next_offsets.get(partition, 0):
            continue
        try:
            sent = decode_event(message.value() or b"")
            event = to_event(sent, message.timestamp()[1] * 1000, offset)
            checked_key(message.key(), sent.tenant, sent.user_id, partition, stream.partitions)
        except InvalidEvent:
            continue
        users.setdefault((sent.tenant, sent.user_id), []).append((partition, event))
    return [row for user, events in users.items() for row in _rows(user, events)]


def _rows(user: User, events: Sequence[tuple[int, Event]]) -> list[tuple[Any, ...]]:
    counts = {event.offset for event in counted(event for _, event in events)}
    rows: list[tuple[Any, ...]] = []
    known_since = float("inf")
    for partition, event in events:
        makes_known = event.offset in counts and event.occurred_at < known_since
        known_since = event.occurred_at if makes_known else known_since
        marks = event.offset not in counts, makes_known, True
        times = event.occurred_at, event.received_at
        said = event.event_id, payload_text(event.payload)
        rows.append((*user, partition, event.offset, event.event_type, *times, *said, *marks))
    return rows
