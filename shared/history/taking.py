"""What is known of partitions from the history itself, read when they are taken."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from shared.domain.fold import REPEAT_US
from shared.history.change_index import ChangeIndex
from shared.history.index import PartitionIndex
from shared.history.private_index import MarkT, PrivateIndex, RowT
from shared.history.table import Position

_BATCH = 50_000
_KNOWN = ["log_partition", "tenant", "user_id", "occurred_at"]
_CHANGES = ["log_partition", "segment_id", "user_id", "generation", "sequence", "change"]
_IDS = ["log_partition", "received_at", "tenant", "user_id", "event_id", "log_offset"]


class Taken(NamedTuple, Generic[RowT, MarkT]):
    """A partition as the table has it. `position`: None if nothing of this log was ever archived of it."""

    position: Position | None
    marks: PrivateIndex[RowT, MarkT]


def indexes_of(
    table: DeltaTable, positions: Mapping[int, Position | None], beat: Callable[[], None]
) -> dict[int, PartitionIndex]:
    """What all rows of events say of each partition, older logs included; one pass for all.

    `beat` is called now and then: it may take a minute for 10 M rows.
    """
    indexes = {partition: PartitionIndex() for partition in positions}
    with _closed_if_it_fails(indexes.values()):
        if table.file_uris():
            for partition, columns in _columns(table, _KNOWN, pc.field("makes_known"), indexes):
                indexes[partition].load_known(zip(*columns, strict=True))
                beat()
            since = min((-1 if at is None else at.received_at for at in positions.values()), default=-1) - REPEAT_US
            with_id = pc.field("event_id").is_valid() & (pc.field("received_at") > _instant(since))
            for partition, columns in _columns(table, _IDS, with_id, indexes):
                indexes[partition].load_ids(zip(*columns, strict=True))
                beat()
        for index in indexes.values():
            index.loaded()
            beat()
    return indexes


def change_indexes_of(
    table: DeltaTable, partitions: Collection[int], beat: Callable[[], None]
) -> dict[int, ChangeIndex]:
    """As `indexes_of`, what all changes say."""
    indexes = {partition: ChangeIndex() for partition in partitions}
    with _closed_if_it_fails(indexes.values()):
        if table.file_uris():
            for partition, columns in _columns(table, _CHANGES, pc.scalar(True), indexes):
                indexes[partition].load(zip(*columns, strict=True))
                beat()
        for index in indexes.values():
            index.keep()
    return indexes


@contextmanager
def _closed_if_it_fails(indexes: Iterable[PrivateIndex[RowT, MarkT]]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for index in indexes:
            index.close()
        raise


def _columns(
    table: DeltaTable, names: list[str], condition: ds.Expression, partitions: Collection[int]
) -> Iterator[tuple[int, list[list[object]]]]:
    """Rows of one partition at a time, as the columns but the first; instants as integers. Holds a few batches."""
    scanner = table.to_pyarrow_dataset().scanner(
        columns=names,
        filter=condition & pc.field("log_partition").isin(pa.array(partitions, pa.int32())),
        batch_size=_BATCH,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
    )
    for batch in scanner.to_batches():
        for partition in pc.unique(batch[0]).to_pylist():
            rows = batch.filter(pc.equal(batch[0], partition))
            yield partition, [_values(column) for column in rows.columns[1:]]


def _values(column: pa.Array) -> list[object]:
    values: list[object] = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return values


def _instant(us: int) -> pa.Scalar:
    return pa.scalar(max(us, 0), pa.timestamp("us", tz="UTC"))
