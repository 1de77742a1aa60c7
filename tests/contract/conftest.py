"""An api for the official clients, on real servers that start empty."""

from collections.abc import Iterator

import pytest

from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.served_api import ServedApi, api_settings, prepare, served_api
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def api(servers: Servers) -> Iterator[ServedApi]:
    """A served api; the tests of a module share it."""
    empty_kafka(servers.kafka_bootstrap_servers)
    empty_redis(servers.redis_url)
    with fresh_database(servers.database_url) as database_url:
        settings = api_settings(servers, database_url)
        prepare(settings)
        with served_api(settings) as served:
            yield served
