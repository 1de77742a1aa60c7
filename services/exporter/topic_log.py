"""A topic as it is read by the archivers of a group; where to begin is told by the history, not by the group."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.contracts.topics import EVENTS_MAX_BYTES
from shared.runtime.kafka import topic_id

_AT_ONCE = 5_000
_ANSWER_S = 5
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - that is its public spelling

log = logging.getLogger(__name__)


class Ends(NamedTuple):
    """The offsets that a partition has: [start, end)."""

    start: int
    end: int


class TopicLog:
    """One member of the group. For one thread."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, session_timeout_s: float) -> None:
        """Joins the group, without waiting for it."""
        self._topic = topic
        client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 3,
            "socket.timeout.ms": 10_000,  # a silent connection may be half open
        }
        self._admin = AdminClient(client)
        self._consumer = Consumer(
            client
            | {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": round(session_timeout_s * 1000),
                "heartbeat.interval.ms": round(session_timeout_s * 300),
                "fetch.message.max.bytes": EVENTS_MAX_BYTES,
                "fetch.queue.backoff.ms": 5,  # else it rests for a second whenever its queue is full
                "queued.max.messages.kbytes": 16_384,
            }
        )
        self.owned: frozenset[int] = frozenset()
        self._changed = False
        self._consumer.subscribe([topic], on_assign=self._on_assigned, on_revoke=self._on_revoked)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def log_epoch(self) -> str:
        """The id of the topic. Raises KafkaException."""
        return topic_id(self._admin, self._topic)

    def ends(self, partition: int) -> Ends:
        """What the log has of a partition now. Raises KafkaException."""
        return Ends(*self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_ANSWER_S))

    def known_end(self, partition: int) -> int:
        """The end of a partition as far as this member heard of it; below 0: it did not."""
        return int(self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)[1])

    def read_from(self, offsets: Mapping[int, int]) -> None:
        """From now on read these partitions from these offsets, and nothing else. Raises KafkaException."""
        self._consumer.assign([TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()])

    def poll(self, wait_s: float) -> list[Message] | None:
        """The next messages, ends of partitions among them; None: the group has changed, and nothing is read any more.

        Raises:
            KafkaException: a partition cannot be read.
        """
        messages = self._consumer.consume(_AT_ONCE, wait_s)
        if self._changed:
            # what came together with the change may be of before it
            self._changed = False
            return None
        for message in messages:
            if (error := message.error()) is not None and error.code() != _EOF:
                raise KafkaException(error)
        return messages

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Let the broker know, for whoever watches the lag of the group; nobody begins there."""
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in next_offsets.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as fault:
            log.debug("the group's offsets were not committed: %s", fault)

    def _on_assigned(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self.owned = frozenset(place.partition for place in assigned)
        self._changed = True
        consumer.assign([])  # until it is known where to begin
        log.info("partitions of %s to archive: %s", self._topic, sorted(self.owned))

    def _on_revoked(self, _consumer: Consumer, _revoked: list[TopicPartition]) -> None:
        self.owned = frozenset()
        self._changed = True
