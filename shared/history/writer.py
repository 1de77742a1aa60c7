"""Adding rows to the history, each offset once, whoever else does so at the same time."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from shared.history.address import HistoryAddress
from shared.history.files import TableFiles
from shared.history.rows import Mark, Row, table_of
from shared.history.table import Conflict, Position, clear_faults, commit, create_table, numbers, position
from shared.history.taking import Taken, indexes_of
from shared.runtime.crash_points import crash_point

_TRIES = 5


class Stretch(NamedTuple):
    """What was read of one partition: all of [start, end.next_offset), of which `rows` are the usable events."""

    start: int
    end: Position
    rows: list[Row]
    marks: list[Mark]


class Moved(Exception):  # noqa: N818 - it names the thing
    """Read again from the table's number: it lies outside of the stretch, so others have written or removed rows.

    `partitions`: those it is so for. Nothing was written of any.
    """

    def __init__(self, partitions: list[int]) -> None:
        super().__init__(f"partitions {partitions} are archived to another place than was read from")
        self.partitions = partitions


class HistoryWriter:
    """Writes to one history. For one thread at a time; others and other processes may write as well."""

    def __init__(self, address: HistoryAddress, log_epoch: str) -> None:
        """`log_epoch`: the topic id of `events`."""
        self._address, self._log_epoch = address, log_epoch
        self._files = TableFiles(address)
        self._unsure: list[AddAction] = []

    def take(self, partitions: Collection[int], beat: Callable[[], None]) -> dict[int, Taken]:
        """What the table says of these partitions; it is made if there is none. Raises HistoryUnavailable."""
        with clear_faults(self._address):
            table = create_table(self._address)
            return indexes_of(table, {p: position(table, self._log_epoch, p) for p in partitions}, beat)

    def append(self, stretches: Mapping[int, Stretch]) -> int:
        """Make them history in one commit, less what is history already; returns how many rows that added.

        Raises:
            Moved: a partition must be read again.
            HistoryUnavailable: nothing of it is visible, unless the commit was made and its answer was lost; trying
                again is right in both cases.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._append(stretches)
            except Conflict:
                # whoever was first may have written the same
                continue
        with clear_faults(self._address):
            try:
                return self._append(stretches)
            except Conflict as conflict:
                raise OSError(f"{_TRIES} commits in a row came too late: {conflict}") from conflict

    def _append(self, stretches: Mapping[int, Stretch]) -> int:
        with clear_faults(self._address):
            table = create_table(self._address)
            self._tidy(table)
            starts = {}
            for partition, stretch in stretches.items():
                at = position(table, self._log_epoch, partition)
                starts[partition] = stretch.start if at is None else at.next_offset
            moved = [p for p, s in stretches.items() if not s.start <= starts[p] <= s.end.next_offset]
            if moved:
                raise Moved(moved)
            ends = {p: s.end for p, s in stretches.items() if starts[p] < s.end.next_offset}
            if not ends:
                return 0
            rows = self._table({p: stretches[p] for p in ends}, starts)
            written = self._files.write(rows)
            crash_point("after_data_file")
            try:
                commit(table, written, numbers(self._log_epoch, ends))
            except Conflict:
                self._files.remove(written)
                raise
            except (OSError, DeltaError):
                self._unsure = written
                raise
            crash_point("after_delta_commit")
            return len(rows)

    def _tidy(self, table: DeltaTable) -> None:
        """Remove the files of a commit that failed, or else a full disk fills with them as it is tried again.

        Of a folder only, where a commit is made or not; in a bucket one that failed here may still come through, and
        the files are left to `vacuum`.
        """
        if self._unsure and self._address.folder is not None:
            named = set(table.file_uris())
            self._files.remove(file for file in self._unsure if f"{self._address.events}/{file.path}" not in named)
        self._unsure = []

    def _table(self, stretches: Mapping[int, Stretch], starts: Mapping[int, int]) -> pa.Table:
        rows: list[Row] = []
        marks: list[Mark] = []
        for partition, stretch in stretches.items():
            for row, mark in zip(stretch.rows, stretch.marks, strict=True):
                if row.offset >= starts[partition]:
                    rows.append(row)
                    marks.append(mark)
        return table_of(rows, marks, self._log_epoch)
