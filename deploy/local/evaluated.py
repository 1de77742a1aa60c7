"""When all that was sent so far is evaluated."""

import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local.errors import LocalRunError
from services.evaluator.settings import EvaluatorSettings
from shared.contracts.topics import EVENTS

_TIMEOUT_S = 120
_BETWEEN_QUESTIONS_S = 0.1


def await_evaluated(bootstrap_servers: str, group: str | None = None) -> None:
    """Return when the evaluator has acknowledged every event that was in the topic at the call.

    It acknowledges last, so that the memberships are visible then.

    Raises:
        LocalRunError: not within two minutes, or Kafka does not answer.
    """
    group = group or str(EvaluatorSettings.model_fields["group"].default)
    try:
        ends = _end_offsets(bootstrap_servers, group)
        admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        deadline = time.monotonic() + _TIMEOUT_S
        while ends and (missing := _missing(ends, _committed(admin, group, list(ends)))):
            if time.monotonic() > deadline:
                raise LocalRunError(f"{missing:,} events are not evaluated after {_TIMEOUT_S} s: see evaluator.log.")
            time.sleep(_BETWEEN_QUESTIONS_S)
    except KafkaException as error:
        raise LocalRunError(f"Kafka did not answer: {error.args[0].str()}") from error


def _missing(ends: dict[int, int], committed: dict[int, int]) -> int:
    """How many events lie between what is committed and the ends."""
    return sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items())


def _end_offsets(bootstrap_servers: str, group: str) -> dict[int, int]:
    """The next offset of each partition that holds anything."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 2})
    try:
        partitions = consumer.list_topics(EVENTS, timeout=10).topics[EVENTS].partitions
        marks = {p: consumer.get_watermark_offsets(TopicPartition(EVENTS, p), timeout=10) for p in partitions}
    finally:
        consumer.close()
    return {partition: high for partition, (low, high) in marks.items() if high > low}


def _committed(admin: AdminClient, group: str, partitions: list[int]) -> dict[int, int]:
    """The committed offsets; a partition without one is left out."""
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(EVENTS, p) for p in partitions])
    answer = admin.list_consumer_group_offsets([asked])[group].result(timeout=10)
    return {p.partition: p.offset for p in answer.topic_partitions if p.offset >= 0}
