"""Thin edges to Kafka: the topics at start-up, and producers with the settings that our guarantees need."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # some of these have no types
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

_TIMEOUT_S = 10
_SILENCE_MS = 10_000
_IN_SYNC = {"min.insync.replicas": "2"}


class Topic(Protocol):
    """A declared topic; `config` holds the settings to compare."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int: ...
    @property
    def config(self) -> Mapping[str, str]: ...


class _Copied(NamedTuple):
    """A topic with the settings that its number of copies needs."""

    name: str
    partitions: int
    config: Mapping[str, str]


class WrongTopic(Exception):  # noqa: N818 - it names the thing
    """Stop: the broker has a topic that differs from what we declare. The text names topic, expected and found."""


class KafkaUnavailable(Exception):  # noqa: N818 - it names the thing
    """Retry: the broker did not answer in time."""


def ensure_topics(bootstrap_servers: str, topics: Iterable[Topic], replication_factor: int = 1) -> list[str]:
    """Create the missing topics, refuse the different, and wait until all can be written.

    Of three copies or more, two must have a message before it is acknowledged: otherwise a leader that has lost
    sight of its followers would acknowledge alone, and take with it what it acknowledged when it is lost.

    Returns:
        The names of the topics created.

    Raises:
        WrongTopic: a topic exists with other partitions or settings.
        KafkaUnavailable: the broker does not answer within some seconds.
    """
    copied = _IN_SYNC if replication_factor > 2 else {}
    declared: list[Topic] = [_Copied(t.name, t.partitions, {**t.config, **copied}) for t in topics]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
    try:
        existing = set(admin.list_topics(timeout=_TIMEOUT_S).topics)
        missing = [topic for topic in declared if topic.name not in existing]
        _create(admin, missing, replication_factor)
        faults = _partition_faults(declared, _await_leaders(admin, declared)) + _config_faults(admin, declared)
    except KafkaException as error:
        raise KafkaUnavailable(f"Kafka at {bootstrap_servers}: {error.args[0].str()}") from error
    if faults:
        raise WrongTopic("; ".join(faults))
    return [topic.name for topic in missing]


def _create(admin: AdminClient, missing: list[Topic], replication_factor: int) -> None:
    if not missing:
        return
    wanted = [NewTopic(t.name, t.partitions, replication_factor, config=dict(t.config)) for t in missing]
    for future in admin.create_topics(wanted, operation_timeout=_TIMEOUT_S).values():
        try:
            future.result()
        except KafkaException as error:
            # two services may start at once
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _await_leaders(admin: AdminClient, declared: list[Topic]) -> dict[str, int]:
    """The partitions of each topic, when all have leaders: of several brokers, another may still know less."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        found = admin.list_topics(timeout=_TIMEOUT_S).topics
        if all(t.name in found and all(p.leader >= 0 for p in found[t.name].partitions.values()) for t in declared):
            return {t.name: len(found[t.name].partitions) for t in declared}
        if time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        time.sleep(0.05)  # between two questions to the broker; metadata has no notification


def _partition_faults(declared: list[Topic], found: Mapping[str, int]) -> list[str]:
    return [
        f"topic {t.name}: {t.partitions} partitions expected, {found[t.name]} found"
        for t in declared
        if found[t.name] != t.partitions
    ]


def _config_faults(admin: AdminClient, declared: list[Topic]) -> list[str]:
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in declared}
    faults = []
    for resource, found in _configs(admin, list(resources)).items():
        topic = resources[resource]
        faults += [
            f"topic {topic.name}: {key}={value} expected, {found[key].value} found"
            for key, value in topic.config.items()
            if found[key].value != value
        ]
    return faults


def _configs(admin: AdminClient, resources: list[ConfigResource]) -> dict[ConfigResource, Any]:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        answers = admin.describe_configs(resources)
        try:
            return {resource: future.result() for resource, future in answers.items()}
        except KafkaException as error:
            # of several brokers, the one asked may not have heard of a new topic yet
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART or time.monotonic() > deadline:
                raise
        time.sleep(0.05)  # between two questions to the broker


def topic_id(admin: AdminClient, name: str, timeout_s: float = _TIMEOUT_S) -> str:
    """The id Kafka gave the topic: another one means another log, whatever its name. Raises KafkaException."""
    described = admin.describe_topics(TopicCollection([name]), request_timeout=timeout_s)[name].result()
    return str(described.topic_id)


class Place(NamedTuple):
    """A message of a partition: its offset, and when it was appended, in milliseconds."""

    offset: int
    time_ms: int


def end_offsets(admin: AdminClient, topic: str, partitions: int, timeout_s: float) -> dict[int, int]:
    """The end of each partition, uncommitted messages included. Raises KafkaException."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call] # its constructors have no types
    return {p: at.offset for p, at in _places(admin, topic, dict.fromkeys(range(partitions), latest), timeout_s)}


def first_since(admin: AdminClient, topic: str, times_ms: Mapping[int, int], timeout_s: float) -> dict[int, Place]:
    """By partition the first message appended at a time or later, if there is one. Raises KafkaException."""
    wanted = {p: OffsetSpec.for_timestamp(time_ms) for p, time_ms in times_ms.items()}
    return {p: at for p, at in _places(admin, topic, wanted, timeout_s) if at.offset >= 0}


def _places(
    admin: AdminClient, topic: str, wanted: Mapping[int, OffsetSpec], timeout_s: float
) -> Iterator[tuple[int, Place]]:
    asked = {TopicPartition(topic, partition): spec for partition, spec in wanted.items()}
    for place, answer in admin.list_offsets(asked, request_timeout=timeout_s).items():
        found = answer.result()
        yield place.partition, Place(found.offset, found.timestamp)


def producer_config(bootstrap_servers: str, max_bytes: int, delivery_timeout_ms: int = 120_000) -> dict[str, object]:
    """Settings of every producer of ours: idempotent, acks=all, partitioned as the Java clients do."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 2,
        "message.max.bytes": max_bytes,
        "delivery.timeout.ms": delivery_timeout_ms,
        # a broker that says nothing for so long is asked again over another connection: this one may be half open
        "request.timeout.ms": _SILENCE_MS,
        "socket.timeout.ms": _SILENCE_MS,
        "queue.buffering.max.messages": 1_000_000,
        "log_level": 3,
    }


def new_producer(bootstrap_servers: str, max_bytes: int, delivery_timeout_ms: int = 120_000) -> Producer:
    """A producer with `producer_config`."""
    return Producer(producer_config(bootstrap_servers, max_bytes, delivery_timeout_ms))
