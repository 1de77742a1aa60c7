"""An api for the official clients, on real servers that start empty."""

from collections.abc import Iterator

import pytest

from tests.support.served_api import ServedApi, fresh_api
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def api(servers: Servers) -> Iterator[ServedApi]:
    """A served api; the tests of a module share it."""
    with fresh_api(servers) as served:
        yield served
