"""The changelog of one partition: claiming it, recovering from it, writing behind to it."""

import asyncio
from collections.abc import Callable

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

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

_RECORDS_A_READ = 10_000
_READ_WAIT_S = 0.05


class Fenced(Exception):  # noqa: N818 - it names the thing
    """Stop: another worker owns the partition, or wrote into its changelog."""


class UnreadableState(Exception):  # noqa: N818 - it names the thing
    """Stop: the changelog holds a record of another schema; the text names it."""


async def claim(producer: LoopProducer, partition: int, worker: str, now_us: int) -> int:
    """Take the partition: the offset of the claim is our epoch, and recovery reads through it."""
    group = DeliveryGroup()
    record = encode(Claim(SCHEMA_VERSION, worker, now_us))
    producer.send(CHANGELOG, CLAIM_KEY, record, partition=partition, group=group)
    return await group.seal()


def recover(consumer: Consumer, partition: int, epoch: int, on_progress: Callable[[], None]) -> StateTable:
    """The partition's state as of our claim. Blocks; calls `on_progress` after each read.

    A record of a lower epoch after a claim is the late write of an owner that was replaced: it does not count,
    and its key is written again, so that what we know is the newest. Raises UnreadableState, KafkaException.
    """
    reading = _Reading(StateTable(partition))
    consumer.assign([TopicPartition(CHANGELOG, partition, OFFSET_BEGINNING)])
    reached = -1
    while reached < epoch:
        for message in consumer.consume(_RECORDS_A_READ, _READ_WAIT_S):
            if message.error() is not None:
                raise KafkaException(message.error())
            reached = message.offset() or 0
            if reached <= epoch:
                reading.take(message.key() or b"", message.value(), reached)
        on_progress()
    consumer.unassign()
    return reading.finish()


class _Reading:
    """Applies the records of a changelog in order."""

    def __init__(self, table: StateTable) -> None:
        self._table = table
        self._epoch = -1
        self._late: set[bytes] = set()

    def take(self, key: bytes, value: bytes | None, offset: int) -> None:
        try:
            self._take(key, value, offset)
        except msgspec.MsgspecError as error:
            place = f"{CHANGELOG} partition {self._table.partition} offset {offset}"
            raise UnreadableState(f"{place}: a record of another schema ({error})") from error

    def finish(self) -> StateTable:
        table = self._table
        for key in self._late:
            segment_id = segment_id_of(key)
            if segment_id in table.segments:
                table.unwritten.add(segment_id)
            elif table.user(key) is not None:
                table.dirty[key] = None
            else:
                table.erased.append(key)
        return table

    def _take(self, key: bytes, value: bytes | None, offset: int) -> None:
        table = self._table
        if key == CLAIM_KEY:
            if value is not None:
                decode_claim(value)
                self._epoch = offset
        elif value is None:
            table.store.pop(key, None)
        elif key == PARTITION_KEY:
            record = decode_partition(value)
            if record.epoch >= self._epoch:
                table.record = record
        elif key.startswith(b"\0"):
            segment = decode_segment(value)
            if segment.epoch >= self._epoch:
                table.segments[segment.segment_id] = segment
                self._late.discard(key)
            else:
                self._late.add(key)
        elif decode_head(value).epoch >= self._epoch:
            table.store[key] = value
            self._late.discard(key)
        else:
            self._late.add(key)


class ChangelogWriter:
    """Writes one partition's records. We are the only writer, so the offsets of our own writes are contiguous."""

    def __init__(self, producer: LoopProducer, table: StateTable) -> None:
        self._producer, self._table = producer, table
        self._written = 0

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
        """Write tombstones."""
        for key in keys:
            self._put(key, None)

    def end_flush(self) -> "asyncio.Future[None]":
        """Write the partition record; done when it and all before it are durable. Raises Fenced, DeliveryFailed."""
        group = DeliveryGroup()
        self._put(PARTITION_KEY, encode(self._table.record), group)
        expected = self._table.record.epoch + self._written
        return asyncio.ensure_future(self._contiguous(group.seal(), expected))

    async def _contiguous(self, delivered: "asyncio.Future[int]", expected: int) -> None:
        offset = await delivered
        if offset != expected:
            raise Fenced(
                f"{CHANGELOG} partition {self._table.partition}: offset {expected} expected for the last record, "
                f"{offset} found: another worker writes here"
            )

    def _put(self, key: bytes, value: bytes | None, group: DeliveryGroup | None = None) -> None:
        self._producer.send(CHANGELOG, key, value, partition=self._table.partition, group=group)
        self._written += 1
