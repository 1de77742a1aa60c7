"""The Parquet files of the table: writing one, and what the table is told of it."""

import contextlib
import json
import uuid
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from shared.history.address import HistoryAddress
from shared.history.schema import FILE_COLUMNS, PARTITION_BY
from shared.runtime.clock import SystemClock

Place = dict[str, str]
"""The values of the partition columns, as texts."""


class TableFiles:
    """The files below the address of the table. A file counts when a commit names it; until then nobody sees it."""

    def __init__(self, address: HistoryAddress) -> None:
        self._place = address.table
        self._files = self._place.file_system()

    def write(self, table: pa.Table) -> list[AddAction]:
        """New files of rows in COLUMNS, one for each place that has any. Raises OSError; then nothing is left."""
        written: list[AddAction] = []
        try:
            for place in table.select(PARTITION_BY).group_by(PARTITION_BY).aggregate([]).to_pylist():
                rows = table.filter(pc.and_(*(pc.equal(table[name], value) for name, value in place.items())))
                texts = {"month": place["month"], "makes_known": str(place["makes_known"]).lower()}
                written.append(self.write_file(texts, rows.select(FILE_COLUMNS.names).to_batches(), data_change=True))
        except BaseException:
            self.remove(written)
            raise
        return written

    def write_file(self, place: Place, batches: Iterable[pa.RecordBatch], *, data_change: bool) -> AddAction:
        """A new file of rows in FILE_COLUMNS, each batch a row group. Raises OSError; then nothing is left of it."""
        folder = "/".join(f"{name}={place[name]}" for name in PARTITION_BY)
        path = f"{folder}/{uuid.uuid4()}.parquet"
        count = 0
        self._files.create_dir(folder, recursive=True)
        try:
            with self._files.open_output_stream(path) as out, _writer(out) as writer:
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


@contextlib.contextmanager
def _writer(out: pa.NativeFile) -> Iterator[pq.ParquetWriter]:
    with pq.ParquetWriter(out, FILE_COLUMNS, compression="zstd", write_page_index=True) as writer:
        yield writer
