"""Rows that wait on this machine's disk until it is certain which of them count."""

import tempfile
from collections.abc import Iterator
from typing import Self

import pyarrow as pa

from services.exporter.exports.rows import COLUMNS


class Spool:
    """The rows by partition: first all are put in, then they are read. Gone with the process, however it ends."""

    def __init__(self) -> None:
        """A nameless file in the system's folder for temporary files. Raises OSError."""
        self._file = tempfile.TemporaryFile(prefix="shoal-export-")  # noqa: SIM115 - this is the context manager
        self._writer = pa.ipc.new_file(self._file, COLUMNS)
        self._batches: dict[int, list[int]] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def forget(self, partition: int) -> None:
        """Begin anew with a partition."""
        self._batches[partition] = []

    def put(self, partition: int, batch: pa.RecordBatch) -> None:
        """Add rows of a partition. Raises OSError."""
        self._writer.write_batch(batch)
        self._batches.setdefault(partition, []).append(self._count)
        self._count += 1

    def end(self) -> None:
        """All is put in."""
        self._writer.close()
        self._reader = pa.ipc.open_file(self._file)

    def rows(self, partition: int) -> Iterator[pa.RecordBatch]:
        """The rows of a partition. Raises OSError."""
        return map(self._reader.get_batch, self._batches.get(partition, []))
