"""The servers of a test session in containers, from the images that docker-compose.yml names."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.local.ports import HOST, free_ports

_COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
_STARTED = {
    "kafka": "Kafka Server started",
    "valkey": "Ready to accept connections",
    # the image starts it twice: first to create the database, then for good
    "postgres": "ready to accept connections[\\s\\S]*ready to accept connections",
}


@contextlib.contextmanager
def docker_servers() -> Iterator[tuple[str, str, str]]:
    """Addresses of Kafka, Valkey and PostgreSQL, each in a container on a free port of this machine."""
    kafka, valkey, postgres = free_ports(3)
    advertised = f"PLAINTEXT://{HOST}:{kafka}"
    with contextlib.ExitStack() as stack:
        for container in (
            _container("kafka", 9092, kafka, _kafka_environment(advertised)),
            _container("valkey", 6379, valkey, {}),
            _container("postgres", 5432, postgres, {"POSTGRES_PASSWORD": "test"}),
        ):
            stack.enter_context(container)
        yield f"{HOST}:{kafka}", f"redis://{HOST}:{valkey}/0", f"postgresql://postgres:test@{HOST}:{postgres}/postgres"


def _container(service: str, inner: int, outer: int, environment: dict[str, str]) -> Any:
    image = yaml.safe_load(_COMPOSE.read_text())["services"][service]["image"]
    container = DockerContainer(image).with_bind_ports(inner, outer)
    for key, value in environment.items():
        container.with_env(key, value)
    return container.waiting_for(LogMessageWaitStrategy(_STARTED[service]))


def _kafka_environment(advertised: str) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": advertised,
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
