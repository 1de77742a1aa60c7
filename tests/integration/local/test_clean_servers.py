"""The servers that tests get are real, and each test finds them empty."""

import time

import asyncpg
import redis
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics, new_producer
from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.servers import Servers


def test_kafka_is_emptied_and_takes_the_same_topics_again(kafka_bootstrap_servers: str) -> None:
    for _ in range(2):
        created = ensure_topics(kafka_bootstrap_servers, declare(3))
        assert created == [topic.name for topic in declare(3)]
        producer = new_producer(kafka_bootstrap_servers, 1 << 20)
        producer.produce("events", b"value", partition=0)
        assert producer.flush(10) == 0
        consumer = Consumer({"bootstrap.servers": kafka_bootstrap_servers, "group.id": "some-group"})
        consumer.commit(offsets=[TopicPartition("events", 0, 1)], asynchronous=False)
        consumer.close()
        empty_kafka(kafka_bootstrap_servers)
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})
        assert [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")] == []
        assert admin.list_consumer_groups().result().valid == []


def test_a_killed_worker_may_be_noticed_after_one_second(kafka_bootstrap_servers: str) -> None:
    ensure_topics(kafka_bootstrap_servers, declare(1))
    impatient = {"group.id": "impatient", "session.timeout.ms": 1000, "heartbeat.interval.ms": 300}
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap_servers} | impatient)
    assigned: list[TopicPartition] = []
    consumer.subscribe(["events"], on_assign=lambda _, partitions: assigned.extend(partitions))
    deadline = time.monotonic() + 20
    while not assigned and time.monotonic() < deadline:
        assert consumer.poll(0.1) is None  # a refused session timeout would be a message with an error
    consumer.close()
    assert [(p.topic, p.partition) for p in assigned] == [("events", 0)]


def test_redis_is_emptied(servers: Servers) -> None:
    with redis.Redis.from_url(servers.redis_url) as client:
        client.set("key", "value")
        empty_redis(servers.redis_url)
        assert client.dbsize() == 0


async def test_each_database_is_new_and_dropped(servers: Servers) -> None:
    with fresh_database(servers.database_url) as first:
        connection = await asyncpg.connect(first)
        await connection.execute("create table t (x int)")
        await connection.close()
        with fresh_database(servers.database_url, template=first.rsplit("/", 1)[1]) as copy:
            connection = await asyncpg.connect(copy)
            assert await connection.fetchval("select count(*) from t") == 0
            await connection.close()
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("select count(*) from pg_database where datname like 'test_%'") == 0
    await connection.close()
