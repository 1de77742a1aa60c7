"""Each test its own start: an empty database, an empty Redis, a Kafka without topics and groups."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

T = TypeVar("T")

_KAFKA_TIMEOUT_S = 30


@contextlib.contextmanager
def fresh_database(database_url: str, template: str | None = None) -> Iterator[str]:
    """The address of a new database on the same server, dropped at the end.

    Args:
        database_url: any database of the server.
        template: name of the database to copy (nobody may be connected to it); None for an empty one.
    """
    name = f"test_{uuid.uuid4().hex}"
    copied = f" template {template}" if template else ""
    _in_thread(_execute(database_url, f"create database {name}{copied}"))
    try:
        yield urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    finally:
        _in_thread(_execute(database_url, f"drop database {name} with (force)"))


def empty_redis(redis_url: str) -> None:
    """Remove every key."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


def empty_kafka(bootstrap_servers: str) -> None:
    """Remove all topics and consumer groups of the tests; returns when they are gone.

    Raises:
        KafkaException: something is still there after 30 s (a group whose members are alive).
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    deadline = time.monotonic() + _KAFKA_TIMEOUT_S
    while remaining := _groups(admin) + _topics(admin):
        if time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"still there: {', '.join(remaining)}"))
        _delete(admin)
        time.sleep(0.05)  # between two questions; the broker does not tell when a deletion is through


def delete_topic(bootstrap_servers: str, name: str) -> None:
    """Delete one topic; returns when it is gone."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    admin.delete_topics([name])[name].result()
    deadline = time.monotonic() + _KAFKA_TIMEOUT_S
    while name in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline, f"{name} is still there"
        time.sleep(0.05)  # as above


def delete_records(bootstrap_servers: str, topic: str, before: Mapping[int, int]) -> None:
    """Delete the messages of each partition below the offset, as retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    wanted = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
    for future in admin.delete_records(wanted).values():
        future.result()


def alter_topic(bootstrap_servers: str, topic: str, config: Mapping[str, str]) -> None:
    """Set some of a topic's settings."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def _topics(admin: AdminClient) -> list[str]:
    return [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]


def _groups(admin: AdminClient) -> list[str]:
    return [group.group_id for group in admin.list_consumer_groups().result().valid]


def _delete(admin: AdminClient) -> None:
    topics, groups = _topics(admin), _groups(admin)
    futures: list[Any] = []
    if groups:
        futures += admin.delete_consumer_groups(groups).values()
    if topics:
        futures += admin.delete_topics(topics).values()
    for future in futures:
        # a group may still have members for a moment, a topic may be gone already: the next round decides
        with contextlib.suppress(KafkaException):
            future.result()


async def _execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own: the caller may be in one, or pytest may keep one for later."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()
