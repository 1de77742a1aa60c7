"""One api for each test module, on real servers that start empty."""

from collections.abc import Iterator

import pytest

from tests.integration.api.store import Store, live_segment
from tests.support.computing import own_store
from tests.support.served_api import ServedApi, fresh_api
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
    own_store(servers.redis_url)
    yield written
    written.redis.close()


@pytest.fixture
def live(api: ServedApi) -> list[int]:
    """Three segments that have members."""
    return [live_segment(api) for _ in range(3)]
