"""Events as rows of the history, by the code that archives them: as an Arrow table, or as a table in a folder."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pyarrow as pa

from shared.contracts.event import EventMessage, to_event
from shared.contracts.keys import partition_of, user_key
from shared.domain.event import Event
from shared.history.address import HistoryAddress
from shared.history.index import PartitionIndex
from shared.history.rows import Mark, Row, row_of, table_of
from shared.history.table import Position
from shared.history.writer import HistoryWriter, Stretch

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
    """The rows of the history, in `shared.history.schema.COLUMNS`; events in any order."""
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


def _stretches(events: Iterable[Owned], partitions: int) -> dict[int, Stretch]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for tenant, event in events:
        partition = partition_of(user_key(tenant, event.user_id), partitions)
        rows[partition].append(row_of(tenant, event, partition))
    return {partition: _stretch(found) for partition, found in sorted(rows.items())}


def _stretch(found: Sequence[Row]) -> Stretch:
    rows = sorted(found, key=lambda row: row.offset)
    end = Position(rows[-1].offset + 1, rows[-1].received_at)
    with PartitionIndex() as index:
        return Stretch(rows[0].offset, end, rows, index.mark(rows))
