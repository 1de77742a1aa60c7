"""Keeps a table quick to read: merges small files into sorted ones, and removes what nobody needs any more.

Files are merged by size, like with like, so that a row is rewritten a few times in its life however large the table
grows. What is merged is sorted, so that DuckDB skips most of a file for one tenant and event type, or segment.
"""

import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from shared.history.address import HistoryAddress
from shared.history.copies import copy_file
from shared.history.files import TableFiles, place_of
from shared.history.table import Conflict, clear_faults, commit, open_table
from shared.runtime.clock import SystemClock

SMALL_FILES = 40
"""So many small files of one place are merged."""
SMALL_ROWS = 100_000
"""A file with fewer rows is small."""
EQUAL_FILES = 8
"""So many files of one size are merged: of SMALL_ROWS and more, of eight times that and more."""
LARGE_ROWS = SMALL_ROWS * EQUAL_FILES**2
"""A file with more rows is left as it is."""

_ENOUGH_ROWS = 4 * SMALL_ROWS
"""Small files with so many rows together are merged however few they are."""
_ROWS_AT_ONCE = LARGE_ROWS
_BYTES_AT_ONCE = 512 << 20
_MEMORY_MB = 256
_BATCH_ROWS, _BATCH_BYTES = 50_000, 8 << 20
"""Rows of a row group; and their bytes, compressed."""
_VACUUM_EVERY_S = 1_800
_MERGES = "merges"
"""Number of the table that every merge raises: it lets two at once exclude each other."""


class File(NamedTuple):
    """A file of the table."""

    path: str
    size: int
    rows: int
    place: tuple[tuple[str, str], ...]


class Upkeep:
    """Looks after one table; more than one at a time do useless work and no harm. For one thread."""

    def __init__(self, address: HistoryAddress) -> None:
        """Connects to nothing yet."""
        self._address = address
        self._files = TableFiles(address)
        self._vacuumed = time.monotonic()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let `run` end soon, from any thread."""
        self._stopped.set()
        if (database := self._database) is not None:
            database.interrupt()

    def run(self) -> int:
        """Merge as long as there is something to merge; returns how many files are gone. Raises HistoryUnavailable."""
        merged = 0
        with clear_faults(self._address):
            while not self._stopped.is_set() and (table := open_table(self._address)) is not None:
                if not (files := worth_merging(self._files_of(table))):
                    break
                try:
                    self._merge(table, files)
                except (Conflict, duckdb.InterruptException):
                    break
                merged += len(files) - 1
            if time.monotonic() > self._vacuumed + _VACUUM_EVERY_S:
                self.vacuum()
        return merged

    def vacuum(self) -> None:
        """Remove files that left the table long enough ago or were never part of it. Raises what deltalake raises."""
        self._vacuumed = time.monotonic()
        if (table := open_table(self._address)) is not None:
            table.vacuum(dry_run=False, full=True)

    def _merge(self, table: DeltaTable, files: Sequence[File]) -> None:
        """Replace the files by one. Raises Conflict: another merge was first."""
        place = dict(files[0].place)
        with tempfile.TemporaryDirectory(prefix="shoal-merge-") as folder:
            new = self._files.write_file(place, self._sorted(files, Path(folder)), data_change=False)
        now_ms = SystemClock().now_us() // 1000
        old = [RemoveAction(file.path, False, now_ms, file.size, dict(file.place)) for file in files]
        try:
            commit(table, [*old, new], {_MERGES: (table.transaction_version(_MERGES) or 0) + 1})
        except Conflict:
            self._files.remove([new])
            raise

    def _sorted(self, files: Sequence[File], folder: Path) -> Iterable[pa.RecordBatch]:
        """The rows of the files in order."""
        paths = [self._local(file, folder) for file in files]
        settings: dict[str, Any] = {
            "memory_limit": f"{_MEMORY_MB}MB",
            "temp_directory": str(folder / "spilled"),
            "threads": 1,
        }
        with duckdb.connect(config=settings) as database:
            self._database = database
            database.execute("SET TimeZone = 'UTC'")
            schema = self._address.schema
            columns = schema.file_columns
            names = ", ".join(columns.names)
            query = f"SELECT {names} FROM read_parquet(?, hive_partitioning = false) ORDER BY {schema.order}"
            for batch in database.sql(query, params=[paths]).to_arrow_reader(_rows_in_memory(files)):
                yield batch.cast(columns)
            self._database = None

    def _files_of(self, table: DeltaTable) -> list[File]:
        names = self._address.schema.partition_by
        return [
            File(
                action["path"],
                action["size_bytes"],
                action["num_records"],
                tuple(place_of({name: action[f"partition.{name}"] for name in names}).items()),
            )
            for action in pa.table(table.get_add_actions(flatten=True)).to_pylist()
        ]

    def _local(self, file: File, folder: Path) -> str:
        if self._address.folder is not None:
            return f"{self._address.table.uri}/{file.path}"
        return copy_file(self._address.table.file_system(), file.path, folder)


def worth_merging(files: Iterable[File]) -> list[File]:
    """Files of one place to replace by one; none: all is well."""
    alike: dict[tuple[object, int], list[File]] = {}
    for file in files:
        if file.rows < LARGE_ROWS:
            alike.setdefault((file.place, _step(file.rows)), []).append(file)
    for (_, step), group in alike.items():
        if len(group) >= (EQUAL_FILES if step else SMALL_FILES) or (
            not step and len(group) > 1 and sum(file.rows for file in group) >= _ENOUGH_ROWS
        ):
            return _at_once(group)
    return []


def _step(rows: int) -> int:
    """0: small; then 1, 2, each EQUAL_FILES times as large."""
    return sum(rows >= SMALL_ROWS * EQUAL_FILES**step for step in range(2))


def _at_once(group: list[File]) -> list[File]:
    """As many of them, the smallest first, as one merge may take; at least two."""
    chosen: list[File] = []
    rows = size = 0
    for file in sorted(group, key=lambda file: file.rows):
        rows, size = rows + file.rows, size + file.size
        if len(chosen) > 1 and (rows > _ROWS_AT_ONCE or size > _BYTES_AT_ONCE):
            break
        chosen.append(file)
    return chosen


def _rows_in_memory(files: Sequence[File]) -> int:
    """So many rows are written at once, fewer where they are long."""
    return min(_BATCH_ROWS, 1 + _BATCH_BYTES * sum(file.rows for file in files) // sum(file.size for file in files))
