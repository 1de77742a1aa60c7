"""Taking a partition's state: claim it, read the changelog, and hold what it says against the log of events.

All of it blocks and runs in a thread; `Recovery` is what is left of it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from services.evaluator.changelog import recover
from services.evaluator.records import RecordBatch
from services.evaluator.state_table import StateTable
from shared.contracts.topics import CHANGELOG, EVENTS

_ANSWER_S = 30
_RECORDS_A_BATCH = 2_000
_READ_WAIT_S = 0.05
ACCEPT_KEY = "SHOAL_EVALUATOR_ACCEPT_LOST_EVENTS"


class Refused(Exception):  # noqa: N818 - it names the thing
    """Stop: state and log do not go together, and starting again changes nothing. The text says what would."""


class LogRecord(msgspec.Struct, gc=False):
    """One message of `events`; `timestamp` is the broker's append time in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Log(NamedTuple):
    """What the broker has of a partition of `events`: offsets `[start, end)`; where the group goes on reading."""

    topic_id: str
    start: int
    end: int
    committed: int


class Recovery(NamedTuple):
    """A partition's state as of our claim.

    unpublished: the keys of users to publish again. read_until: what lies below it and is not in the state must be read
    again, because the group reads on from there. log_start: what lies below it is in history only. state_was_lost:
    nothing was ever flushed to this changelog.
    """

    table: StateTable
    unpublished: list[bytes]
    read_until: int
    log_start: int
    state_was_lost: bool


def recovered(
    consumer: Consumer,
    partition: int,
    claim: tuple[int, int],
    topic_id: str,
    on_progress: Callable[[], None],
    archived: Callable[[int], int],
    *,
    accept_lost: bool,
) -> Recovery:
    """The state of a partition that `claim` (epoch, instant in microseconds) took. Blocks.

    `archived`: of a partition, the offset that history reaches; asked when the log does not reach back far enough.
    Raises Refused, UnreadableState, KafkaException, HistoryUnavailable.
    """
    epoch, now_us = claim
    start, _ = consumer.get_watermark_offsets(TopicPartition(CHANGELOG, partition), _ANSWER_S)
    if start > 0:
        raise Refused(
            f"{CHANGELOG} partition {partition} begins at offset {start}, expected 0: its older records were deleted, "
            f"and the state with them; delete topic {CHANGELOG} to have the state made anew from {EVENTS}"
        )
    table = recover(consumer, partition, epoch, on_progress)
    log = _look(consumer, partition, topic_id)
    lost = not table.record.log_epoch
    if not lost:
        _refuse_another_log(table, log)
    else:
        # Nothing was ever flushed: a new installation, or the changelog is lost and the log must tell it anew.
        table.record.rebuild_until = log.end
        table.record.generation = now_us // 1_000_000 if log.end else 0
    if table.record.flushed_through < log.start and archived(partition) < log.start:
        _begin_where_the_log_does(table, log, accept_lost=accept_lost)
    read_until = max(log.committed, log.start)
    return Recovery(table, table.after_recovery(epoch, topic_id), read_until, log.start, lost)


def read_log(consumer: Consumer, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
    """The events in `[start, end)`, in batches that follow each other without a gap. Blocks.

    `consumer` must report the end of a partition. Raises KafkaException.
    """
    consumer.assign([TopicPartition(EVENTS, partition, start)])
    while start < end:
        records, next_offset = [], start
        for message in consumer.consume(_RECORDS_A_BATCH, _READ_WAIT_S):
            error, offset = message.error(), message.offset() or 0
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public spelling
                raise KafkaException(error)
            if error is not None or offset >= end:
                next_offset = end  # what lies below is no message: markers of transactions
                break
            stamp_ms, headers = message.timestamp()[1], message.headers() or ()
            records.append(
                LogRecord(offset, stamp_ms, message.key(), message.value(), headers)  # type: ignore[arg-type] # a list
            )
            next_offset = offset + 1
        yield RecordBatch(partition, start, next_offset, records)
        start = next_offset
    consumer.unassign()


def _look(consumer: Consumer, partition: int, topic_id: str) -> Log:
    start, end = consumer.get_watermark_offsets(TopicPartition(EVENTS, partition), _ANSWER_S)
    (committed,) = consumer.committed([TopicPartition(EVENTS, partition)], _ANSWER_S)
    return Log(topic_id, start, end, committed.offset)


def _refuse_another_log(table: StateTable, log: Log) -> None:
    record, partition = table.record, table.partition
    if record.log_epoch != log.topic_id:
        raise Refused(
            f"{EVENTS} partition {partition}: the state was made from topic id {record.log_epoch}, the broker has "
            f"{log.topic_id}: the topic was created anew; restore it, or delete topic {CHANGELOG} too to begin anew"
        )
    if record.flushed_through > log.end:
        raise Refused(
            f"{EVENTS} partition {partition}: the state contains the events below offset {record.flushed_through}, "
            f"the log ends at {log.end}: it is an older copy; restore it, or delete topic {CHANGELOG} to have the "
            "state made anew from it"
        )


def _begin_where_the_log_does(table: StateTable, log: Log, *, accept_lost: bool) -> None:
    record = table.record
    if not accept_lost:
        raise Refused(
            f"{EVENTS} partition {table.partition}: events from offset {record.flushed_through} on are needed, the "
            f"log begins at {log.start}: the ones before were deleted, and are in neither state nor history; to go on "
            f"without them, start with {ACCEPT_KEY}=true"
        )
    record.flushed_through = log.start
