"""Sending dead letters again to the topic they came from."""

from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from services.evaluator.dead_letter_reader import DeadLetterReader, place_of
from services.evaluator.dead_letters import Choice, Letter, Place
from shared.contracts.dead_letter import RESENT_FROM
from shared.contracts.topics import DEAD_LETTERS_MAX_BYTES
from shared.runtime.kafka import new_producer

DELIVERY_TIMEOUT_MS = 30_000


class Sent(NamedTuple):
    """What became of one letter: `target` as `<topic> <partition>:<offset>`, or why it is not acknowledged."""

    place: Place
    target: str
    fault: str | None


def send_again(bootstrap_servers: str, reader: DeadLetterReader, letters: list[Letter]) -> Iterator[Sent]:
    """Send letters that have no obstacle: key and value unchanged, those of one partition in their order.

    Tells what became of each when the broker has answered. After a failure no more are sent.
    Raises KafkaUnavailable when the letters cannot be read.
    """
    topics = {letter.place: letter.source_topic for letter in letters}
    if not topics:
        return
    producer = new_producer(bootstrap_servers, DEAD_LETTERS_MAX_BYTES, DELIVERY_TIMEOUT_MS)
    for messages in reader.read(Choice(places=frozenset(topics))):
        answers: list[Sent] = []
        for message in messages:
            if place_of(message) in topics:
                _produce(producer, topics[place_of(message)], message, answers)
        producer.flush()  # each has its answer within the delivery timeout
        yield from answers
        if any(answer.fault for answer in answers):
            return


def _produce(producer: Producer, topic: str, message: Message, answers: list[Sent]) -> None:
    place = place_of(message)

    def on_delivery(error: KafkaError | None, sent: Message) -> None:
        target = f"{sent.topic()} {sent.partition()}:{sent.offset()}"
        answers.append(Sent(place, target, None if error is None else error.str()))

    resent_from = str(place).encode()
    producer.produce(
        topic, message.value(), message.key(), on_delivery=on_delivery, headers=[(RESENT_FROM, resent_from)]
    )
