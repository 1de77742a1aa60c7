"""Events as rows of the history, by the code that archives them: as an Arrow table, or as a table in a folder."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pyarrow as pa
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from services.exporter.archives import change_row, event_row
from services.exporter.reading import Reading
from shared.contracts.event import EventMessage, to_event
from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import EVENTS, MEMBERSHIP_CHANGES
from shared.domain.event import Event
from shared.history.address import HistoryAddress
from shared.history.index import PartitionIndex
from shared.history.private_index import MarkT, RowT
from shared.history.rows import Mark, Row, row_of, table_of
from shared.history.schema import CHANGES
from shared.history.table import Position
from shared.history.writer import ChangeWriter, HistoryWriter, Stretch, TableWriter
from shared.runtime.kafka import topic_id
from tests.support.served_api import PARTITIONS
from tests.support.servers import Servers

PATIENCE_S = 60
LOG_EPOCH = "log"
Owned = tuple[int, Event]
"""A tenant's event; its offset is its place in the partition of its user."""


def logged(events: Iterable[tuple[int, EventMessage, int]], partitions: int = 4) -> list[Owned]:
    """Messages (tenant, message, received_at in microseconds) as events, each next in the partition of its user."""
    ends: dict[int, int] = defaultdict(int)
    found = []
    for tenant, message, received_at in events:
        partition = partition_of(user_key(tenant, message.user_id), partitions)
        found.append((tenant, to_event(message, received_at, ends[partition])))
        ends[partition] += 1
    return found


def table_of_events(events: Iterable[Owned], partitions: int = 4, log_epoch: str = LOG_EPOCH) -> pa.Table:
    """The rows of the history, in the columns of `shared.history.schema.EVENTS`; events in any order."""
    rows: list[Row] = []
    marks: list[Mark] = []
    for stretch in _stretches(events, partitions).values():
        rows += stretch.rows
        marks += stretch.marks
    return table_of(rows, marks, log_epoch)


def write_events(
    address: HistoryAddress, events: Iterable[Owned], partitions: int = 4, log_epoch: str = LOG_EPOCH
) -> None:
    """A new history with these events."""
    HistoryWriter(address, log_epoch).append(_stretches(events, partitions))


def archive_events(servers: Servers, history: str) -> None:
    """As `archive_log`, of an api of the tests."""
    archive_log(servers.kafka_bootstrap_servers, HistoryAddress.of(history), PARTITIONS)


def archive_log(bootstrap_servers: str, address: HistoryAddress, partitions: int) -> str:
    """Archive all of `events` that is not archived yet, as the archiver does; the log epoch."""
    log_epoch = _log_epoch(bootstrap_servers, EVENTS)
    row = partial(event_row, partitions=partitions)
    _archive(bootstrap_servers, EVENTS, HistoryWriter(address, log_epoch), row, partitions)
    return log_epoch


def archive_sent_changes(servers: Servers, history: str) -> None:
    """Archive all of `membership-changes` that is not archived yet, of an api of the tests."""
    bootstrap_servers = servers.kafka_bootstrap_servers
    log_epoch = _log_epoch(bootstrap_servers, MEMBERSHIP_CHANGES)
    writer = ChangeWriter(HistoryAddress.of(history, CHANGES), log_epoch)
    _archive(bootstrap_servers, MEMBERSHIP_CHANGES, writer, change_row, PARTITIONS)


def _log_epoch(bootstrap_servers: str, topic: str) -> str:
    return topic_id(AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0}), topic)


def _archive(
    bootstrap_servers: str,
    topic: str,
    writer: TableWriter[RowT, MarkT],
    row_of_message: Callable[[Message], RowT | None],
    partitions: int,
) -> None:
    client = {"bootstrap.servers": bootstrap_servers, "log_level": 0, "group.id": "test-archive"}
    consumer = Consumer(client | {"enable.partition.eof": True, "enable.auto.commit": False})
    readings: dict[int, Reading[RowT, MarkT]] = {}
    for partition, taken in writer.take(range(partitions), lambda: None).items():
        start, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_S)
        first = start if taken.position is None else taken.position.next_offset
        readings[partition] = Reading(row_of_message, taken, first)
    consumer.assign([TopicPartition(topic, p, reading.next_offset) for p, reading in readings.items()])
    unread = set(readings)
    deadline = time.monotonic() + PATIENCE_S
    while unread:
        assert time.monotonic() < deadline, f"the ends of {unread} were not reached within {PATIENCE_S} s"
        for message in consumer.consume(5_000, 0.1):
            place = message.partition()
            assert place is not None
            readings[place].take(message)
            if message.error() is not None:
                unread.discard(place)
    writer.append({partition: reading.stretch() for partition, reading in readings.items() if reading.is_ahead})
    consumer.close()
    for reading in readings.values():
        reading.close()


def _stretches(events: Iterable[Owned], partitions: int) -> dict[int, Stretch[Row, Mark]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for tenant, event in events:
        partition = partition_of(user_key(tenant, event.user_id), partitions)
        rows[partition].append(row_of(tenant, event, partition))
    return {partition: _stretch(found) for partition, found in sorted(rows.items())}


def _stretch(found: Sequence[Row]) -> Stretch[Row, Mark]:
    rows = sorted(found, key=lambda row: row.offset)
    end = Position(rows[-1].offset + 1, rows[-1].received_at)
    with PartitionIndex() as index:
        return Stretch(rows[0].offset, end, rows, index.mark(rows))
