"""What Faust hands to the evaluator: the raw records of one fetch of one partition."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """One message as the Kafka client decoded it; `timestamp` is the broker's append time in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class RecordBatch(NamedTuple):
    """The records of `[start_offset, next_offset)`: the range a fetch covered.

    It may hold fewer offsets than the range (transaction markers, compaction), but nothing of it is missing.
    """

    partition: int
    start_offset: int
    next_offset: int
    records: Sequence[Record]
