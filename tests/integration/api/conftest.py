"""One api for each test module, on real servers that start empty."""

from collections.abc import Iterator

import pytest

from tests.support.served_api import ServedApi, fresh_api
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def api(servers: Servers) -> Iterator[ServedApi]:
    """A served api; its tests share one database and one Kafka."""
    with fresh_api(servers) as served:
        yield served
