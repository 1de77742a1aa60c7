"""Feeding an evaluator through Kafka, and reading back all that it wrote: log, changelog, changes, Redis."""

import copy
import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from redis import Redis

from services.evaluator.state_records import PARTITION_KEY, PartitionRecord, decode_partition
from shared.contracts import redis_keys
from shared.contracts.command import Command, VersionWish, command_key, encode_command
from shared.contracts.keys import user_key
from shared.contracts.progress import Progress, decode_progress
from shared.contracts.topics import CHANGELOG, COMMANDS, EVENTS, MEMBERSHIP_CHANGES, PROGRESS, SIDE_PARTITIONS, declare
from shared.domain.user_state import UserState, decode_state
from shared.runtime.kafka import ensure_topics, producer_config
from tests.support.evaluators import wait_for

T = TypeVar("T")

TENANT = 1
GROUP = "shoal-evaluator"
Membership = dict[int, set[str]]
"""Segment id -> user ids."""
_NUMBERED = {EVENTS, COMMANDS, MEMBERSHIP_CHANGES, CHANGELOG}


class Stream:
    """A tenant's events and wishes on real Kafka, and what came of them."""

    def __init__(
        self, kafka_bootstrap_servers: str, redis_url: str, partitions: int, events_topic: str = EVENTS
    ) -> None:
        self.bootstrap, self.redis_url, self.partitions = kafka_bootstrap_servers, redis_url, partitions
        self._events_topic = events_topic
        self.redis: Any = Redis.from_url(redis_url)
        self.producer: Producer = Producer(producer_config(kafka_bootstrap_servers, 4 * 1_048_576) | {"log_level": 0})
        self.tenant = TENANT
        self._outbox_ids = itertools.count(1)
        self._own: Sequence[int] = range(partitions)
        self._group = Consumer(self._client(GROUP))

    def close(self) -> None:
        """Disconnect."""
        self._group.close()
        self.redis.close()

    def _client(self, group: str = "test-readers") -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,  # else it rests for a second whenever its queue is full
            "log_level": 0,
        }

    # --- in --------------------------------------------------------------------------------------------------

    def send(
        self,
        user_id: str,
        event_type: str,
        payload: dict[str, Any] | None = None,
        *,
        tenant: int | None = None,
        **fields: Any,
    ) -> None:
        """Queue one event as any producer would; `tenant`: of another than ours."""
        tenant = tenant or self.tenant
        value = {"tenant": tenant, "user_id": user_id, "event_type": event_type, "payload": payload or {}} | fields
        while True:
            try:
                self.producer.produce(self._events_topic, json.dumps(value).encode(), user_key(tenant, user_id))
            except BufferError:
                self.producer.poll(0.1)
            else:
                self.producer.poll(0)
                return

    def send_many(
        self, count: int, users: int, seed: int, rate: float = 0, until: Callable[[], bool] = lambda: True
    ) -> int:
        """At least `count` events of `users` users, and on until `until` says enough; waits for the broker.

        `rate` a second, or as fast as possible when 0. Returns how many it was.
        """
        randomness, began, number = random.Random(seed), time.monotonic(), 0
        while number < count or not until():
            event_type = randomness.choice(("page_viewed", "order_placed", "signup", "cart_add"))
            payload = {"total": round(randomness.random() * 100, 2), "path": "/pricing", "seq": number}
            fields: dict[str, Any] = {"event_id": f"{seed}-{number}"} if number % 100 == 0 else {}
            self.send(f"user-{randomness.randrange(users)}", event_type, payload, **fields)
            number += 1
            if rate and number % 50 == 0:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
        self.flush()
        return number

    def flush(self) -> None:
        """Wait until the broker has all."""
        assert self.producer.flush(60) == 0

    def wish(
        self,
        segment_id: int,
        *,
        serving: dict[str, Any] | None = None,
        computing: dict[str, Any] | None = None,
        version: int = 1,
        computing_version: int = 1,
        deleted: bool = False,
    ) -> int:
        """Send a command as the relay does: one copy to every partition. Returns its outbox id."""
        outbox_id = next(self._outbox_ids)
        command = Command(
            tenant=self.tenant,
            segment_id=segment_id,
            outbox_id=outbox_id,
            serving=None if serving is None else VersionWish(version, serving),
            computing=None if computing is None else VersionWish(computing_version, computing),
            deleted=deleted,
        )
        for partition in range(self.partitions):
            self.producer.produce(COMMANDS, encode_command(command), command_key(segment_id), partition)
        self.flush()
        return outbox_id

    def activate(self, definitions: dict[int, dict[str, Any]], within_s: float = 30) -> None:
        """Serve these definitions; waits until every partition has switched."""
        wishes = {self.wish(segment_id, serving=definition) for segment_id, definition in definitions.items()}
        self.await_reports("switched", wishes, within_s)

    def await_reports(self, status: str, outbox_ids: set[int], within_s: float = 30) -> None:
        """Wait until every partition has reported `status` for each of these wishes."""

        def missing() -> bool:
            reported = {(r.outbox_id, r.partition) for r in self.reports() if r.status == status}
            return all((wish, p) in reported for wish in outbox_ids for p in range(self.partitions))

        wait_for(missing, within_s, f"all partitions report {status}")

    # --- out -------------------------------------------------------------------------------------------------

    def part(self, partition: int) -> Self:
        """The same stream of which only one partition is read, where topics are numbered like `events`."""
        part = copy.copy(self)
        part._own = [partition]
        return part

    def of(self, tenant: int) -> Self:
        """The same stream for another tenant's events, wishes and lookups."""
        other = copy.copy(self)
        other.tenant = tenant
        return other

    def read(self, topic: str, partitions: int) -> Iterator[Message]:
        """All committed messages of a topic, partition by partition in order."""
        consumer = Consumer(self._client() | {"enable.partition.eof": True})
        unread = set(self._own if topic in _NUMBERED else range(partitions))
        # 0, not the beginning by name, which the client asks for half a second later
        consumer.assign([TopicPartition(topic, p, 0) for p in unread])
        try:
            while unread:
                for message in consumer.consume(5_000, 0.05):
                    error = message.error()
                    if error is None:
                        yield message
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        unread.discard(message.partition() or 0)
        finally:
            consumer.close()

    def reports(self) -> list[Progress]:
        """What was reported on `progress`."""
        return [decode_progress(m.value() or b"") for m in self.read(PROGRESS, SIDE_PARTITIONS)]

    def changes(self) -> list[dict[str, Any]]:
        """The membership changes, by partition in order."""
        return [json.loads(m.value() or b"") for m in self.read(MEMBERSHIP_CHANGES, self.partitions)]

    def distinct_changes(self) -> list[dict[str, Any]]:
        """The changes without repeats, as a reader of the topic must take them."""
        return list({change["id"]: change for change in self.changes()}.values())

    def states(self) -> tuple[dict[bytes, UserState], dict[int, PartitionRecord]]:
        """The newest user states and partition records of the changelog."""
        users: dict[bytes, UserState] = {}
        partitions: dict[int, PartitionRecord] = {}
        for message in self.read(CHANGELOG, self.partitions):
            key, value = message.key() or b"", message.value() or b""
            if key == PARTITION_KEY:
                partitions[message.partition() or 0] = decode_partition(value)
            elif not key.startswith(b"\0"):
                users[key] = decode_state(value)
        return users, partitions

    def end_offsets(self, topic: str = EVENTS) -> dict[int, int]:
        """The next offset of each partition of a topic that is numbered like `events`."""
        consumer = Consumer(self._client())
        try:
            return {p: self._end_offset(consumer, TopicPartition(topic, p)) for p in range(self.partitions)}
        finally:
            consumer.close()

    def _end_offset(self, consumer: Consumer, place: TopicPartition) -> int:
        def ask() -> int:
            consumer.list_topics(place.topic, timeout=5)  # else it goes on asking the one that led
            return consumer.get_watermark_offsets(place, timeout=5)[1]

        return _insist(ask, f"{place.topic} {place.partition} has a leader")

    def committed(self) -> dict[int, int]:
        """The offsets committed by the workers."""
        asked = [TopicPartition(EVENTS, p) for p in self._own]
        found = _insist(lambda: self._group.committed(asked, timeout=10), "the keeper of the group answers")
        return {tp.partition: max(0, tp.offset) for tp in found}

    def await_committed(self, within_s: float = 60) -> None:
        """Wait until all that was sent is committed."""
        self.flush()
        ends = self.end_offsets()

        def is_done() -> bool:
            committed = self.committed()
            return all(committed[p] >= end for p, end in ends.items())

        wait_for(is_done, within_s, f"all events are committed (ends {ends})")

    def clock(self) -> int:
        """An instant in microseconds that every partition has reached."""
        return min(int(self.redis.get(redis_keys.clock_key(p)) or 0) for p in range(self.partitions))

    def applied(self) -> dict[int, int]:
        """The next offset of each partition that is not visible in Redis yet."""
        values = {p: self.redis.get(redis_keys.applied_key(p)) for p in range(self.partitions)}
        return {p: int(value.split()[1]) if value else 0 for p, value in values.items()}

    def lookup(self, user_id: str, partition: int) -> Iterable[redis_keys.MembershipRecord]:
        """A user's packed records."""
        value = self.redis.get(redis_keys.user_key(partition, self.tenant, user_id))
        return list(redis_keys.unpack_records(value)) if value else []

    def memberships(self, as_of: int) -> Membership:
        """Who is in which segment at `as_of`, by the users' packed values."""
        found: Membership = {}
        for key in self.redis.scan_iter(match=f"*:user:{self.tenant}:*", count=5_000):
            user_id = key.split(b":", 3)[3].decode()
            for record in redis_keys.unpack_records(self.redis.get(key)):
                if is_member(record, as_of):
                    found.setdefault(record.segment_id, set()).add(user_id)
        return found

    def member_sets(self) -> Membership:
        """Who is in which segment by the sorted sets."""
        found: Membership = {}
        for key in self.redis.scan_iter(match=f"*:members:{self.tenant}:*", count=5_000):
            found.setdefault(int(key.split(b":")[3]), set()).update(m.decode() for m in self.redis.zrange(key, 0, -1))
        return found


@contextmanager
def fresh_stream(bootstrap_servers: str, redis_url: str, partitions: int, copies: int = 1) -> Iterator[Stream]:
    """A stream on new topics with so many partitions, and so many copies of each."""
    ensure_topics(bootstrap_servers, declare(partitions), copies)
    stream = Stream(bootstrap_servers, redis_url, partitions)
    try:
        yield stream
    finally:
        stream.close()


def is_member(record: redis_keys.MembershipRecord, as_of: int) -> bool:
    """Whether a record says member at `as_of` (the rule that lookups follow)."""
    turned = as_of >= record.turns_at and not record.flags & redis_keys.SOFT
    return turned if record.flags & redis_keys.COMING else not turned


def _insist(ask: Callable[[], T], what: str) -> T:
    """The answer of a broker, which may have just been started, or have lost one that led or kept the group."""

    def asked() -> tuple[T] | None:
        try:
            return (ask(),)
        except KafkaException:
            return None

    return wait_for(asked, 60, what)[0]
