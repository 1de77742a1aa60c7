"""Adding rows to a table of the history, each offset once, whoever else does so at the same time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from shared.history.address import HistoryAddress
from shared.history.change_rows import ChangeRow, changes_table
from shared.history.files import TableFiles
from shared.history.private_index import MarkT, PrivateIndex, RowT
from shared.history.rows import Mark, Row, table_of
from shared.history.schema import FEED, LOST_UNTIL
from shared.history.table import Conflict, Position, clear_faults, commit, create_table, numbers, position
from shared.history.taking import Taken, change_indexes_of, indexes_of
from shared.runtime.clock import SystemClock
from shared.runtime.crash_points import crash_point

_TRIES = 5


class Stretch(NamedTuple, Generic[RowT, MarkT]):
    """What was read of one partition: all of [start, end.next_offset), of which `rows` are the usable messages.

    lost_to: the log no longer had what lies between `start` and this offset; 0: it had all.
    """

    start: int
    end: Position
    rows: Sequence[RowT]
    marks: Sequence[MarkT]
    lost_to: int = 0


class Addition(NamedTuple):
    """What a commit adds: rows in the columns of the table, and numbers beside those of the places."""

    rows: pa.Table
    numbers: Mapping[str, int]


class Moved(Exception):  # noqa: N818 - it names the thing
    """Read again from the table's number: it lies outside of the stretch, so others have written or removed rows.

    `partitions`: those it is so for. Nothing was written of any.
    """

    def __init__(self, partitions: list[int]) -> None:
        super().__init__(f"partitions {partitions} are archived to another place than was read from")
        self.partitions = partitions


class TableWriter(ABC, Generic[RowT, MarkT]):
    """Writes to one table. For one thread at a time; others and other processes may write as well."""

    def __init__(self, address: HistoryAddress, log_epoch: str) -> None:
        """`log_epoch`: the topic id of the log that is archived."""
        self._address, self._log_epoch = address, log_epoch
        self._files = TableFiles(address)
        self._unsure: list[AddAction] = []

    def take(self, partitions: Collection[int], beat: Callable[[], None]) -> dict[int, Taken[RowT, MarkT]]:
        """What the table says of these partitions; it is made if there is none. Raises HistoryUnavailable."""
        with clear_faults(self._address):
            table = create_table(self._address)
            positions = {p: self._position(table, p) for p in partitions}
            indexes = self._indexes(table, positions, beat)
            return {partition: Taken(at, indexes[partition]) for partition, at in positions.items()}

    def append(self, stretches: Mapping[int, Stretch[RowT, MarkT]]) -> int:
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

    @abstractmethod
    def _indexes(
        self, table: DeltaTable, positions: Mapping[int, Position | None], beat: Callable[[], None]
    ) -> Mapping[int, PrivateIndex[RowT, MarkT]]:
        """What the rows of these partitions say for the next ones."""

    @abstractmethod
    def _addition(self, table: DeltaTable, marked: Sequence[tuple[RowT, MarkT]], *, is_lossy: bool) -> Addition:
        """What a commit on this handle adds. `is_lossy`: messages of before were never archived, and never will be."""

    def _position(self, table: DeltaTable, partition: int) -> Position | None:
        return position(table, self._address.schema, self._log_epoch, partition)

    def _append(self, stretches: Mapping[int, Stretch[RowT, MarkT]]) -> int:
        with clear_faults(self._address):
            table = create_table(self._address)
            self._tidy(table)
            starts = {}
            for partition, stretch in stretches.items():
                at = self._position(table, partition)
                starts[partition] = stretch.start if at is None else at.next_offset
            moved = [p for p, s in stretches.items() if not s.start <= starts[p] <= s.end.next_offset]
            if moved:
                raise Moved(moved)
            ends = {p: s.end for p, s in stretches.items() if starts[p] < s.end.next_offset}
            if not ends:
                return 0
            marked = [pair for p in ends for pair in _marked(stretches[p], starts[p])]
            is_lossy = any(starts[p] < stretches[p].lost_to for p in ends)
            added = self._addition(table, marked, is_lossy=is_lossy)
            written = self._files.write(added.rows)
            crash_point("after_data_file")
            try:
                commit(table, written, {**numbers(self._address.schema, self._log_epoch, ends), **added.numbers})
            except Conflict:
                self._files.remove(written)
                raise
            except (OSError, DeltaError):
                self._unsure = written
                raise
            crash_point("after_delta_commit")
            return len(added.rows)

    def _tidy(self, table: DeltaTable) -> None:
        """Remove the files of a commit that failed, or else a full disk fills with them as it is tried again.

        Of a folder only, where a commit is made or not; in a bucket one that failed here may still come through, and
        the files are left to `vacuum`.
        """
        if self._unsure and self._address.folder is not None:
            named = set(table.file_uris())
            self._files.remove(file for file in self._unsure if f"{self._address.table.uri}/{file.path}" not in named)
        self._unsure = []


def _marked(stretch: Stretch[RowT, MarkT], start: int) -> Iterable[tuple[RowT, MarkT]]:
    """The rows from an offset on."""
    return (pair for pair in zip(stretch.rows, stretch.marks, strict=True) if pair[0].offset >= start)


class HistoryWriter(TableWriter[Row, Mark]):
    """Writes events."""

    def _indexes(
        self, table: DeltaTable, positions: Mapping[int, Position | None], beat: Callable[[], None]
    ) -> Mapping[int, PrivateIndex[Row, Mark]]:
        return indexes_of(table, positions, beat)

    def _addition(self, table: DeltaTable, marked: Sequence[tuple[Row, Mark]], *, is_lossy: bool) -> Addition:  # noqa: ARG002
        rows = [row for row, _ in marked]
        return Addition(table_of(rows, [mark for _, mark in marked], self._log_epoch), {})


class ChangeWriter(TableWriter[ChangeRow, bool]):
    """Writes membership changes, those that tell something new, and gives them their positions.

    Two commits that give positions have a number in common: whatever their partitions, one of them is made anew.
    """

    def _indexes(
        self, table: DeltaTable, positions: Mapping[int, Position | None], beat: Callable[[], None]
    ) -> Mapping[int, PrivateIndex[ChangeRow, bool]]:
        return change_indexes_of(table, positions, beat)

    def _addition(self, table: DeltaTable, marked: Sequence[tuple[ChangeRow, bool]], *, is_lossy: bool) -> Addition:
        rows = [row for row, is_new in marked if is_new]
        last = table.transaction_version(FEED) or 0
        given = {FEED: last + len(rows)} if rows else {}
        lost = {LOST_UNTIL: SystemClock().now_us()} if is_lossy else {}
        return Addition(changes_table(rows, last + 1, self._log_epoch), given | lost)
