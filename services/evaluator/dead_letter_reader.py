"""Reading the topic of dead letters from end to end."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.evaluator.dead_letters import Choice, Chosen, Letter, Place, origin_of
from shared.contracts.topics import DEAD_LETTERS
from shared.runtime.kafka import KafkaUnavailable, WrongTopic

ANSWER_S = 10.0
SILENCE_S = 30.0
"""So long without a message that must be there means that the broker is gone."""
_MESSAGES_A_READ = 100
"""At most 4 MiB each."""
_READ_WAIT_S = 0.5

Ranges = dict[int, tuple[int, int]]
"""Partition -> `[start, end)` of its offsets."""


class DeadLetterReader:
    """A consumer of its own, closed by `with`."""

    def __init__(self, bootstrap_servers: str) -> None:
        """Connects to nothing yet."""
        self._servers = bootstrap_servers
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "shoal-dead-letter-reader",  # asked for by the client, joined by nobody
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "log_level": 2,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._consumer.close()

    def choose(self, choice: Choice, head_bytes: int) -> Chosen:
        """All letters there are now that the choice takes, with so many bytes of each value.

        Raises:
            KafkaUnavailable: the broker does not answer.
            WrongTopic: it has no such topic.
        """
        chosen = Chosen(choice)
        for messages in self.read(choice):
            for message in messages:
                chosen.add(_letter(message, head_bytes))
        return chosen

    def read(self, choice: Choice) -> Iterator[list[Message]]:
        """The messages that lie where the choice may take some, in lists, by partition in order. Raises as `choose`."""
        try:
            unread = self._ranges(choice)
            self._consumer.assign([TopicPartition(DEAD_LETTERS, p, start) for p, (start, _) in unread.items()])
            heard_s = time.monotonic()
            while unread:
                messages = self._consumer.consume(_MESSAGES_A_READ, _READ_WAIT_S)
                if messages:
                    heard_s = time.monotonic()
                elif time.monotonic() - heard_s > SILENCE_S:
                    raise KafkaUnavailable(f"Kafka at {self._servers}: nothing read for {SILENCE_S:g} s")
                yield [message for message in messages if _is_within(unread, message)]
        except KafkaException as error:
            raise KafkaUnavailable(f"Kafka at {self._servers}: {error.args[0].str()}") from error

    def _ranges(self, choice: Choice) -> Ranges:
        topic = self._consumer.list_topics(timeout=ANSWER_S).topics.get(DEAD_LETTERS)
        if topic is None:
            raise WrongTopic(f"topic {DEAD_LETTERS}: not found; the services create it at their first start")
        found = {p: self._range(p, choice) for p in topic.partitions}
        return {partition: (start, end) for partition, (start, end) in found.items() if start < end}

    def _range(self, partition: int, choice: Choice) -> tuple[int, int]:
        start, end = self._consumer.get_watermark_offsets(TopicPartition(DEAD_LETTERS, partition), timeout=ANSWER_S)
        if choice.places:
            offsets = [place.offset for place in choice.places if place.partition == partition]
            return (max(start, min(offsets)), min(end, max(offsets) + 1)) if offsets else (end, end)
        if choice.since_ms:
            asked = [TopicPartition(DEAD_LETTERS, partition, choice.since_ms)]
            first = self._consumer.offsets_for_times(asked, timeout=ANSWER_S)[0].offset
            start = first if first >= 0 else end  # nothing is as new
        return start, end


def place_of(message: Message) -> Place:
    """Where a message lies."""
    return Place(message.partition() or 0, message.offset() or 0)


def _is_within(unread: Ranges, message: Message) -> bool:
    """Whether the message is of a range; a range that it ends is taken out. Raises KafkaException."""
    place, error = place_of(message), message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - that is its public spelling
        raise KafkaException(error)
    _, end = unread.get(place.partition, (0, 0))
    if error is not None or place.offset + 1 >= end:
        unread.pop(place.partition, None)
    return error is None and place.offset < end


def _letter(message: Message, head_bytes: int) -> Letter:
    value = message.value()
    return Letter(
        place_of(message),
        message.timestamp()[1],
        origin_of(message.headers() or []),  # type: ignore[arg-type] # a list of pairs, always
        message.key(),
        None if value is None else value[:head_bytes],
        None if value is None else len(value),
    )
