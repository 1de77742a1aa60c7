"""What was read of one partition and is not history yet."""

from collections.abc import Callable
from typing import Generic

from confluent_kafka import Message

from shared.history.private_index import MarkT, RowT
from shared.history.table import Position
from shared.history.taking import Taken
from shared.history.writer import Stretch


class Reading(Generic[RowT, MarkT]):
    """The rows of a partition from its place in the table on."""

    def __init__(self, row_of: Callable[[Message], RowT | None], taken: Taken[RowT, MarkT], first: int) -> None:
        """`first`: the first offset to read; above the table's number where the log lacks what is between.

        row_of: the row that a message of the partition makes; None: it is passed over.
        """
        self._row_of, self._index = row_of, taken.marks
        self._archived = taken.position or Position(0, -1)
        self.next_offset = first
        self._received_at = self._archived.received_at
        self._first = first
        self._rows: list[RowT] = []
        self.size = 0

    @property
    def rows(self) -> int:
        """How many wait."""
        return len(self._rows)

    @property
    def is_ahead(self) -> bool:
        """Whether anything was read that is not history, be it no rows."""
        return self.next_offset > self._archived.next_offset

    def close(self) -> None:
        """Forget everything."""
        self._index.close()

    def take(self, message: Message) -> None:
        """Take in the next message, or the end of the partition."""
        offset = message.offset() or 0
        if message.error() is not None:
            # the end: what lies before it is transaction markers
            self.next_offset = max(self.next_offset, offset)
            return
        if offset < self.next_offset:
            return
        self.next_offset = offset + 1
        self._received_at = message.timestamp()[1] * 1000
        row = self._row_of(message)
        if row is not None:
            self._rows.append(row)
            self.size += len(message.value() or b"")

    def stretch(self) -> Stretch[RowT, MarkT]:
        """All that waits, to be archived; then `keep` or `undo`."""
        end = Position(self.next_offset, self._received_at)
        start = self._archived.next_offset
        lost_to = self._first if self._first > start else 0
        return Stretch(start, end, self._rows, self._index.mark(self._rows), lost_to)

    def keep(self) -> None:
        """All that waited is history."""
        self._index.keep()
        self._archived = Position(self.next_offset, self._received_at)
        self._first = self.next_offset
        self._rows, self.size = [], 0

    def undo(self) -> None:
        """Nothing that waits became history: it is read again."""
        self._index.undo()
        self.next_offset, self._received_at = self._first, self._archived.received_at
        self._rows, self.size = [], 0
