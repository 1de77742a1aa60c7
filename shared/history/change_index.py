"""What must be known of a partition's archived changes to tell the next ones from repeats."""

from collections.abc import Iterable, Sequence

from shared.history.change_rows import ChangeRow
from shared.history.private_index import PrivateIndex

_TABLE = """
CREATE TABLE last (segment_id INTEGER, user_id TEXT, generation INTEGER, sequence INTEGER, change TEXT,
  PRIMARY KEY (segment_id, user_id)) WITHOUT ROWID;
"""
_PUT = """
INSERT INTO last VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET generation = excluded.generation, sequence = excluded.sequence, change = excluded.change
WHERE (excluded.generation, excluded.sequence) > (generation, sequence)
"""

LastChange = tuple[int, str, int, int, str]
"""Segment, user id, generation, sequence, what it was."""


class ChangeIndex(PrivateIndex[ChangeRow, bool]):
    """The last archived change of each membership of one partition."""

    def __init__(self) -> None:
        super().__init__(_TABLE)

    def load(self, changes: Iterable[LastChange]) -> None:
        """Take in archived changes, in any order."""
        self._db.executemany(_PUT, changes)

    def mark(self, rows: Sequence[ChangeRow]) -> list[bool]:
        """Whether each of the next changes of the partition, in the order of their offsets, tells something new.

        What is not above the last one is a repeat, or came late from a replaced owner. What is above, and says the
        same, is of a state that was made anew: it tells the past again.
        """
        marks = []
        for row in rows:
            last = self._last(row)
            is_above = last is None or (row.generation, row.sequence) > last[:2]
            marks.append(is_above and (last is None or row.change != last[2]))
            if is_above:
                self._db.execute(_PUT, (row.segment_id, row.user_id, row.generation, row.sequence, row.change))
        return marks

    def _last(self, row: ChangeRow) -> tuple[int, int, str] | None:
        found: tuple[int, int, str] | None = self._db.execute(
            "SELECT generation, sequence, change FROM last WHERE segment_id = ? AND user_id = ?",
            (row.segment_id, row.user_id),
        ).fetchone()
        return found
