"""The servers of a test session, started when the first test asks for them."""

from collections.abc import Iterator

import pytest

from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.s3_server import S3Server, s3_server
from tests.support.servers import Servers, running_servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Addresses of real Kafka, Valkey and PostgreSQL, shared by the session."""
    with running_servers() as running:
        yield running


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A new, empty database for this test."""
    with fresh_database(servers.database_url) as url:
        yield url


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """Valkey without any key."""
    empty_redis(servers.redis_url)
    return servers.redis_url


@pytest.fixture
def kafka_bootstrap_servers(servers: Servers) -> str:
    """Kafka without topics and consumer groups."""
    empty_kafka(servers.kafka_bootstrap_servers)
    return servers.kafka_bootstrap_servers


@pytest.fixture(scope="session")
def bucket() -> Iterator[S3Server]:
    """A server of S3 with one bucket, shared by the session."""
    with s3_server() as running:
        yield running
