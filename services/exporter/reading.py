"""What was read of one partition and is not history yet."""

from confluent_kafka import Message

from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import checked_key
from shared.domain.errors import InvalidEvent
from shared.history.rows import Row, row_of
from shared.history.table import Position
from shared.history.taking import Taken
from shared.history.writer import Stretch


class Reading:
    """The rows of a partition from its place in the table on."""

    def __init__(self, partition: int, partitions: int, taken: Taken, first: int) -> None:
        """`first`: the first offset to read; above the table's number where the log lacks what is between."""
        self._partition, self._partitions, self._index = partition, partitions, taken.marks
        self._archived = taken.position or Position(first, -1)
        self.next_offset = first
        self._received_at = self._archived.received_at
        self._first = first
        self._rows: list[Row] = []
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
        """Take in the next message, or the end of the partition.

        A message that the evaluator puts aside as a dead letter is passed over.
        """
        offset = message.offset() or 0
        if message.error() is not None:
            # the end: what lies before it is transaction markers
            self.next_offset = max(self.next_offset, offset)
            return
        if offset < self.next_offset:
            return
        self.next_offset = offset + 1
        self._received_at = received_at = message.timestamp()[1] * 1000
        value = message.value() or b""
        try:
            event = decode_event(value)
            known = to_event(event, received_at, offset)
            checked_key(message.key(), event.tenant, event.user_id, self._partition, self._partitions)
        except InvalidEvent:
            return
        self._rows.append(row_of(event.tenant, known, self._partition))
        self.size += len(value)

    def stretch(self) -> Stretch:
        """All that waits, to be archived; then `keep` or `undo`."""
        end = Position(self.next_offset, self._received_at)
        return Stretch(self._archived.next_offset, end, self._rows, self._index.mark(self._rows))

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
