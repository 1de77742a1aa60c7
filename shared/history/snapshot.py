"""The files of a table of the history at one version, and how far they reach."""

import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.history.address import HistoryAddress
from shared.history.copies import Copies
from shared.history.table import clear_faults, open_table, position


class Snapshot(msgspec.Struct, frozen=True):
    """The history at one version of its table.

    version: of the table; -1: nothing was ever archived. files: paths of Parquet files on this machine, each
    `.../month=2026-11/makes_known=true/<name>.parquet`. next_offsets: by partition; every usable message of the log
    below it is in `files`. received_us: by partition, `received_at` of the last message archived or passed over, in
    microseconds. Partitions of which nothing was archived are in neither. numbers: those that the table counts.
    """

    version: int
    files: tuple[str, ...]
    next_offsets: Mapping[int, int]
    received_us: Mapping[int, int]
    numbers: Mapping[str, int] = {}


class HistoryReader:
    """Reads one table: one for a process, from any thread. Blocks while it reads the table's log.

    The files of a table in a bucket are copied to a temporary folder, which ends with the reader: they never change.
    """

    def __init__(self, address: HistoryAddress, partitions: int) -> None:
        """`partitions` of the log that is archived. Connects to nothing yet."""
        self._address, self._partitions = address, partitions
        self._lock = threading.Lock()
        self._last: tuple[str, Snapshot] | None = None
        self._copies = None if address.folder else Copies(address)

    @property
    def folder(self) -> Path:
        """Where all files of snapshots lie. (It need not be there yet.)"""
        return Path(self._address.table.uri) if self._copies is None else self._copies.folder

    def snapshot(self, log_epoch: str) -> Snapshot:
        """The newest version, with the numbers of this log. Raises HistoryUnavailable."""
        with self._lock, clear_faults(self._address):
            table = open_table(self._address)
            if table is None:
                return Snapshot(-1, (), {}, {})
            if self._last is not None and self._last[0] == log_epoch and self._last[1].version == table.version():
                return self._last[1]
            schema = self._address.schema
            files = self._copies.fetch(table) if self._copies is not None else table.file_uris()
            found = {p: position(table, schema, log_epoch, p) for p in range(self._partitions)}
            snapshot = Snapshot(
                table.version(),
                tuple(files),
                {p: at.next_offset for p, at in found.items() if at is not None},
                {p: at.received_at for p, at in found.items() if at is not None},
                {name: table.transaction_version(name) or 0 for name in schema.counted},
            )
            self._last = log_epoch, snapshot
            return snapshot
