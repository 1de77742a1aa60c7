"""Up to how many messages in a row may be set aside before it is the reader's or the sender's defect, not theirs."""

from collections.abc import Sequence

from services.evaluator.records import Record
from services.evaluator.step import DeadLetter


class DeadLetterCeiling:
    """Counts the unusable messages of one partition that come in a row; one usable message begins anew."""

    def __init__(self, limit: int) -> None:
        """`limit`: so many in a row stop the partition; 0: nothing does."""
        self._limit = limit
        self._in_a_row = 0

    def passed(self, records: Sequence[Record], dead: Sequence[DeadLetter]) -> DeadLetter | None:
        """Take in what was read, in order, and what of it was unusable; the last of too many in a row, or None."""
        if not dead:
            self._in_a_row = 0 if records else self._in_a_row
            return None
        unusable = {record.offset: (record, reason) for record, reason in dead}
        for record in records:
            letter = unusable.get(record.offset)
            self._in_a_row = self._in_a_row + 1 if letter else 0
            if letter and self._limit and self._in_a_row >= self._limit:
                return letter
        return None
