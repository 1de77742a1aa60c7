"""Start-up on real Kafka: missing topics are created, different ones refused with topic, expected and found."""

import socket

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from shared.contracts.topics import declare
from shared.runtime.kafka import KafkaUnavailable, WrongTopic, ensure_topics


def _create(bootstrap_servers: str, name: str, partitions: int, config: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result()


def test_the_missing_are_created_once(kafka_bootstrap_servers: str) -> None:
    topics = declare(3)
    assert set(ensure_topics(kafka_bootstrap_servers, topics)) == {topic.name for topic in topics}
    assert ensure_topics(kafka_bootstrap_servers, topics) == []


def test_another_number_of_partitions_is_refused(kafka_bootstrap_servers: str) -> None:
    ensure_topics(kafka_bootstrap_servers, declare(3))
    with pytest.raises(WrongTopic) as refused:
        ensure_topics(kafka_bootstrap_servers, declare(4))
    assert "topic events: 4 partitions expected, 3 found" in str(refused.value)
    assert "topic user-state-changelog: 4 partitions expected, 3 found" in str(refused.value)


def test_another_setting_is_refused(kafka_bootstrap_servers: str) -> None:
    """Without the broker's stamp `received_at` would be what each producer says."""
    (events,) = (topic for topic in declare(3) if topic.name == "events")
    other = events.config | {"message.timestamp.type": "CreateTime"}
    _create(kafka_bootstrap_servers, "events", 3, other)
    with pytest.raises(WrongTopic) as refused:
        ensure_topics(kafka_bootstrap_servers, declare(3))
    assert str(refused.value) == "topic events: message.timestamp.type=LogAppendTime expected, CreateTime found"


def test_a_broker_that_does_not_answer_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(KafkaUnavailable, match=f"Kafka at {address}: "):
            ensure_topics(address, declare(3))
