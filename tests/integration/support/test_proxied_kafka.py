"""Kafka behind the proxy: all that an evaluator says goes through it, and a dead connection is left."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import KafkaError

from deploy.local.kafka import Kafka
from deploy.local.ports import HOST, free_ports
from shared.contracts.topics import EVENTS, MIB, declare
from shared.runtime.kafka import ensure_topics, new_producer
from tests.support.evaluators import environment, evaluators
from tests.support.proxied_kafka import proxied_listener
from tests.support.servers import KAFKA_TEST_SETTINGS
from tests.support.stream import fresh_stream
from tests.support.tcp_proxy import TcpProxy

PARTITIONS = 3
BOUGHT = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1}]}


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[Kafka, TcpProxy]]:
    port, controller_port, inner_port = free_ports(3)
    with TcpProxy(HOST, inner_port) as proxy:
        settings = proxied_listener(port, controller_port, proxy)
        kafka = Kafka(tmp_path, port, controller_port, KAFKA_TEST_SETTINGS | settings)
        try:
            kafka.start()
            yield kafka, proxy
        finally:
            kafka.stop()


def test_an_evaluator_joins_reads_and_writes_through_the_proxy(proxied: tuple[Kafka, TcpProxy], redis_url: str) -> None:
    kafka, proxy = proxied
    with (
        fresh_stream(kafka.bootstrap_servers, redis_url, PARTITIONS) as stream,
        evaluators(environment(f"{HOST}:{proxy.port}", redis_url, SHOAL_PARTITIONS=str(PARTITIONS))) as new_worker,
    ):
        worker = new_worker().await_ready()
        stream.activate({1: BOUGHT})
        stream.send("ada", "buy")
        stream.await_committed()
        assert [change["user_id"] for change in stream.changes()] == ["ada"]
        connected = {
            to.raddr[1] for to in psutil.Process(worker.pid).net_connections("tcp") if to.status == "ESTABLISHED"
        }
        assert proxy.port in connected
        assert not connected & {int(kafka.bootstrap_servers.rsplit(":", 1)[1]), proxy.target_port}


def test_a_producer_leaves_a_connection_that_is_dead_without_a_word(proxied: tuple[Kafka, TcpProxy]) -> None:
    kafka, proxy = proxied
    ensure_topics(kafka.bootstrap_servers, declare(PARTITIONS))
    producer = new_producer(f"{HOST}:{proxy.port}", MIB)
    reports: list[KafkaError | None] = []

    def send() -> None:
        producer.produce(EVENTS, b"{}", b"1\0ada", on_delivery=lambda error, _: reports.append(error))

    send()
    assert producer.flush(10) == 0
    proxy.lose_connections()
    send()
    assert producer.flush(20) == 0  # the library's own time limit is 30 s
    assert reports == [None, None]
