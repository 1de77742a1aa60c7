"""The Parquet files of a table: writing one, and what the table is told of it."""

import contextlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from shared.history.address import HistoryAddress
from shared.runtime.clock import SystemClock

Place = dict[str, str]
"""The values of the partition columns, as texts."""


class TableFiles:
    """The files below the address of the table. A file counts when a commit names it; until then nobody sees it."""

    def __init__(self, address: HistoryAddress) -> None:
        self._schema, self._place = address.schema, address.table
        self._files = self._place.file_system()

    def write(self, table: pa.Table) -> list[AddAction]:
        """New files of rows, one for each place that has any. Raises OSError; then nothing is left."""
        written: list[AddAction] = []
        try:
            for place, rows in self._by_place(table):
                written.append(self.write_file(place, rows.to_batches(), data_change=True))
        except BaseException:
            self.remove(written)
            raise
        return written

    def write_file(self, place: Place, batches: Iterable[pa.RecordBatch], *, data_change: bool) -> AddAction:
        """A new file of rows, each batch a row group. Raises OSError; then nothing is left of it."""
        folder = "/".join(f"{name}={place[name]}" for name in self._schema.partition_by)
        path = f"{folder}/{uuid.uuid4()}.parquet"
        count = 0
        self._files.create_dir(folder, recursive=True)
        try:
            with self._files.open_output_stream(path) as out, self._writer(out) as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    count += len(batch)
            self._place.make_durable(path)
        except BaseException:
            self.remove_paths([path])
            raise
        # No least and greatest values: deltalake takes a column that lacks them for one without rows. Those of the row
        # groups stand in the file.
        stats = json.dumps({"numRecords": count})
        size = self._files.get_file_info(path).size
        return AddAction(path, size, place, SystemClock().now_us() // 1000, data_change, stats)

    def remove(self, written: Iterable[AddAction]) -> None:
        """Remove files that no commit names; what cannot be removed now, `vacuum` removes later."""
        self.remove_paths(action.path for action in written)

    def remove_paths(self, paths: Iterable[str]) -> None:
        """As `remove`."""
        for path in paths:
            with contextlib.suppress(OSError):
                self._files.delete_file(path)

    def _by_place(self, table: pa.Table) -> Iterator[tuple[Place, pa.Table]]:
        names = list(self._schema.partition_by)
        for values in table.select(names).group_by(names).aggregate([]).to_pylist():
            is_there = [pc.equal(table[name], value) for name, value in values.items()]
            rows = table.filter(reduce(pc.and_, is_there))
            yield place_of(values), rows.select(self._schema.file_columns.names)

    @contextlib.contextmanager
    def _writer(self, out: pa.NativeFile) -> Iterator[pq.ParquetWriter]:
        columns = self._schema.file_columns
        with pq.ParquetWriter(out, columns, compression="zstd", write_page_index=True) as writer:
            yield writer


def place_of(values: Mapping[str, str | bool]) -> Place:
    """The texts of the values of partition columns."""
    return {name: value if isinstance(value, str) else str(value).lower() for name, value in values.items()}
