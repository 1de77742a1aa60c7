"""Too many unusable messages in a row, over the borders of batches."""

from services.evaluator.dead_letter_ceiling import DeadLetterCeiling
from services.evaluator.recovery import LogRecord


def batch(text: str, start: int) -> tuple[list[LogRecord], list[tuple[LogRecord, str]]]:
    """A message for each letter; `x` is unusable."""
    records = [LogRecord(start + n, 0, None, None) for n in range(len(text))]
    return records, [(r, "why") for r, letter in zip(records, text, strict=True) if letter == "x"]


def stopped_at(limit: int, *batches: str) -> int | None:
    ceiling, start = DeadLetterCeiling(limit), 0
    for text in batches:
        if last := ceiling.passed(*batch(text, start)):
            return last[0].offset
        start += len(text)
    return None


def test_so_many_in_a_row_are_too_many() -> None:
    assert stopped_at(3, "..xx", "x.") == 4
    assert stopped_at(3, "xxx") == 2
    assert stopped_at(3, "x", "", "x", "x") == 2


def test_one_usable_message_begins_anew() -> None:
    assert stopped_at(3, "xx.xx", ".", "xx") is None
    assert stopped_at(3, "xx", "..", "xx") is None


def test_without_a_limit_nothing_stops() -> None:
    assert stopped_at(0, "x" * 100) is None
