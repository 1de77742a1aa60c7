"""Copies of the files of a table that lies in a bucket, for DuckDB, which reads files of this machine only."""

import shutil
import tempfile
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.fs
from deltalake import DeltaTable

from shared.history.address import HistoryAddress

_AT_ONCE = 8
_KEEP_S = 900
"""A file that is no longer the table's may still be about to be opened."""


class Copies:
    """A temporary folder with the files of one table: as large as the table. For one thread at a time."""

    def __init__(self, address: HistoryAddress) -> None:
        self._address = address
        self._files = address.table.file_system()
        self.folder = Path(tempfile.mkdtemp(prefix="shoal-history-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._left: dict[str, float] = {}

    def fetch(self, table: DeltaTable) -> list[str]:
        """Paths of the copies of all files of the table; copies those that are new. Raises OSError."""
        wanted = {uri.removeprefix(f"{self._address.table.uri}/") for uri in table.file_uris()}
        there = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*.parquet")}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda path: copy_file(self._files, path, self.folder), sorted(wanted - there)))
        self._drop(there - wanted)
        return [str(self.folder / path) for path in sorted(wanted)]

    def _drop(self, others: set[str]) -> None:
        now = time.monotonic()
        self._left = {path: self._left.get(path, now) for path in others}
        for path, since in self._left.items():
            if now - since > _KEEP_S:
                (self.folder / path).unlink(missing_ok=True)


def copy_file(files: pyarrow.fs.FileSystem, path: str, folder: Path) -> str:
    """Copy one file below the folder, to the same path there, which is returned. Raises OSError."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with files.open_input_stream(path) as source, partial.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    partial.rename(target)
    return str(target)
