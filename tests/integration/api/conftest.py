"""One api for each test module, on real servers that start empty."""

from collections.abc import Iterator

import pytest

from shared.contracts.redis_keys import clock_key, head_key
from tests.integration.api.store import Store, live_segment
from tests.support.served_api import PARTITIONS, ServedApi, fresh_api
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def api(servers: Servers) -> Iterator[ServedApi]:
    """A served api; its tests share one database and one Kafka."""
    with fresh_api(servers) as served:
        yield served


@pytest.fixture
def store(api: ServedApi, servers: Servers) -> Iterator[Store]:
    """An empty membership store."""
    written = Store(servers.redis_url, api.segment()["tenant"])
    written.redis.flushall()
    for partition in range(PARTITIONS):
        written.redis.set(head_key(partition), "1 1")
        written.redis.set(clock_key(partition), "1")
    yield written
    written.redis.close()


@pytest.fixture
def live(api: ServedApi) -> list[int]:
    """Three segments that have members."""
    return [live_segment(api) for _ in range(3)]
