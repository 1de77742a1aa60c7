"""The changelog of one partition: claiming it, recovering from it, writing behind to it."""

import asyncio
import logging
from collections.abc import Callable, Iterator

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.evaluator.clock_watch import ClockWatch
from services.evaluator.producer import DeliveryGroup, LoopProducer
from services.evaluator.state_records import (
    CLAIM_KEY,
    PARTITION_KEY,
    SCHEMA_VERSION,
    Claim,
    SegmentRecord,
    decode_claim,
    decode_head,
    decode_partition,
    decode_segment,
    encode,
    segment_id_of,
    segment_key,
)
from services.evaluator.state_table import StateTable
from shared.contracts.topics import CHANGELOG
from shared.runtime import metrics

log = logging.getLogger(__name__)

_RECORDS_A_READ = 10_000
_READ_WAIT_S = 0.05
_EPOCH_HEADER = "epoch"


class Fenced(Exception):  # noqa: N818 - it names the thing
    """Stop: another worker owns the partition."""


class UnreadableState(Exception):  # noqa: N818 - it names the thing
    """Stop: the changelog holds a record of another schema; the text names it."""


async def claim(producer: LoopProducer, partition: int, worker: str, clock: ClockWatch) -> int:
    """Take the partition: the offset of the claim is our epoch, and recovery reads through it.

    The broker's stamp on it is the first that `clock` learns of the broker's time. Raises DeliveryFailed.
    """
    group, now_us = DeliveryGroup(), clock.now_us()
    record = encode(Claim(SCHEMA_VERSION, worker, now_us))
    producer.send(CHANGELOG, CLAIM_KEY, record, partition=partition, group=group)
    epoch = await group.seal()
    if group.appended_ms is not None:
        clock.appended(group.appended_ms * 1000, now_us)
    return epoch


def recover(consumer: Consumer, partition: int, epoch: int, on_progress: Callable[[], None]) -> StateTable:
    """The partition's state as of our claim. Blocks; calls `on_progress` after each read.

    A record of a lower epoch after a claim is the late write of an owner that was replaced: it does not count,
    and its key is written again, so that what we know is the newest. Raises UnreadableState, KafkaException.
    """
    reading = _Reading(StateTable(partition))
    # 0, not the beginning by name: the client would ask where that is, half a second later
    for message in _read(consumer, partition, 0, epoch, on_progress):
        reading.take(message)
    return reading.finish()


def _read(
    consumer: Consumer, partition: int, start: int, last: int, on_progress: Callable[[], None]
) -> Iterator[Message]:
    """All messages from `start` through the offset `last`, which must be one of a message."""
    consumer.assign([TopicPartition(CHANGELOG, partition, start)])
    reached = -1
    while reached < last:
        messages = consumer.consume(_RECORDS_A_READ, _READ_WAIT_S)
        if messages:  # a broker that has fallen silent is no progress
            on_progress()
        for message in messages:
            error = message.error()
            if error is None:
                reached = message.offset() or 0
                if reached <= last:
                    yield message
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - that is its public spelling
                raise KafkaException(error)
    consumer.unassign()


class _Reading:
    """Applies the records of a changelog in order."""

    def __init__(self, table: StateTable) -> None:
        self._table = table
        self._epoch = -1
        self._late: set[bytes] = set()

    def take(self, message: Message) -> None:
        key, value = message.key(), message.value()
        try:
            if not key or value is None or key[0] == 0:
                self._take_other(message)
                return
            head = decode_head(value)  # a user, as nearly all are
            if head.epoch < self._epoch:
                self._late.add(key)
                return
            self._table.store[key] = value
            self._table.heads[key] = head
            if self._late:
                self._late.discard(key)
        except msgspec.MsgspecError as error:
            place = f"{CHANGELOG} partition {self._table.partition} offset {message.offset()}"
            raise UnreadableState(f"{place}: a record of another schema ({error})") from error

    def finish(self) -> StateTable:
        note_late(self._table, self._late)
        return self._table

    def _take_other(self, message: Message) -> None:
        """Anything but a user's state."""
        table, key, value = self._table, message.key() or b"", message.value()
        if key == CLAIM_KEY:
            if value is not None:
                decode_claim(value)
                self._epoch = message.offset() or 0
        elif key == PARTITION_KEY:
            record = decode_partition(value or b"")
            if record.epoch >= self._epoch:
                table.record = record
        elif _epoch_of(message) < self._epoch:
            self._late.add(key)
        else:
            self._late.discard(key)
            if key.startswith(b"\0"):
                self._take_segment(key, value)
            else:
                table.store.pop(key, None)
                table.heads.pop(key, None)

    def _take_segment(self, key: bytes, value: bytes | None) -> None:
        segment_id = segment_id_of(key)
        if segment_id is None:
            raise msgspec.DecodeError(f"the key {key!r}")
        if value is None:
            self._table.segments.pop(segment_id, None)
        else:
            self._table.segments[segment_id] = decode_segment(value)


def _epoch_of(message: Message) -> int:
    """The epoch of the owner that wrote a record of a user or a segment."""
    value = message.value()
    if value is None:
        headers = dict(message.headers() or ())
        return int(headers.get(_EPOCH_HEADER, b"0"))  # type: ignore[arg-type] # ours are bytes
    return decode_segment(value).epoch if (message.key() or b"").startswith(b"\0") else decode_head(value).epoch


def note_late(table: StateTable, keys: set[bytes]) -> None:
    """Let the next flush write what we know of these keys: a late record of theirs is the newest in the changelog."""
    for key in keys:
        segment_id = segment_id_of(key)
        if segment_id in table.segments:
            table.unwritten.add(segment_id)
        elif table.user(key) is not None:
            table.dirty[key] = None
        else:
            table.erased.append(key)


def written_late(consumer: Consumer, partition: int, start: int, last: int, epoch: int) -> list[bytes]:
    """The keys that others than the owner of `epoch` wrote from the offset `start` through `last`. Blocks.

    Raises Fenced when one of these records is a newer claim, KafkaException.
    """
    late = []
    for message in _read(consumer, partition, start, last, lambda: None):
        key = message.key() or b""
        if key == CLAIM_KEY:
            raise Fenced(f"{CHANGELOG} partition {partition}: offset {message.offset()} is a newer claim than ours")
        # each flush of ours ends with the partition's record
        if key != PARTITION_KEY and _epoch_of(message) != epoch:
            late.append(key)
    return late


class ChangelogWriter:
    """Writes one partition's records. We are the only writer, so the offsets of our own writes are contiguous.

    A gap is what an owner that was replaced wrote late: its records are read, and their keys written again.
    """

    def __init__(self, producer: LoopProducer, table: StateTable, new_consumer: Callable[[], Consumer]) -> None:
        """`new_consumer` gives one without a group that reads only committed messages."""
        self._producer, self._table, self._new_consumer = producer, table, new_consumer
        self._written = self._foreign = 0
        self._verified = table.record.epoch
        self._repairing = asyncio.Lock()

    def put_users(self, keys: list[bytes]) -> None:
        """Write the current state of these users."""
        encode_user = self._table.encode_user
        self._producer.send_all(CHANGELOG, self._table.partition, [(key, encode_user(key)) for key in keys])
        self._written += len(keys)

    def put_segment(self, segment: SegmentRecord) -> None:
        """Write what is followed for one segment, stamped with our epoch."""
        stamped = msgspec.structs.replace(segment, epoch=self._table.record.epoch)
        self._put(segment_key(segment.segment_id), encode(stamped))

    def erase(self, keys: list[bytes]) -> None:
        """Write tombstones, stamped with our epoch."""
        for key in keys:
            self._put(key, None)

    def end_flush(self) -> "asyncio.Future[None]":
        """Write the partition record; done when it and all before it are durable. Raises Fenced, DeliveryFailed."""
        group = DeliveryGroup()
        self._put(PARTITION_KEY, encode(self._table.record), group)
        return asyncio.ensure_future(self._contiguous(group.seal(), self._written))

    async def _contiguous(self, delivered: "asyncio.Future[int]", written: int) -> None:
        offset = await delivered
        async with self._repairing:
            if offset <= self._verified:
                return
            others = offset - self._table.record.epoch - written
            if others != self._foreign:
                await self._repair(offset)
            self._foreign, self._verified = others, offset

    async def _repair(self, through: int) -> None:
        partition, consumer = self._table.partition, self._new_consumer()
        loop = asyncio.get_running_loop()
        try:
            late = await loop.run_in_executor(
                None, written_late, consumer, partition, self._verified + 1, through, self._table.record.epoch
            )
        finally:
            loop.run_in_executor(None, consumer.close)
        log.warning("partition %d: %d late records of a replaced owner are written over", partition, len(late))
        metrics.LATE_RECORDS.inc(len(late))
        note_late(self._table, set(late))

    def _put(self, key: bytes, value: bytes | None, group: DeliveryGroup | None = None) -> None:
        headers = [(_EPOCH_HEADER, b"%d" % self._table.record.epoch)] if value is None else ()
        self._producer.send(CHANGELOG, key, value, partition=self._table.partition, headers=headers, group=group)
        self._written += 1
