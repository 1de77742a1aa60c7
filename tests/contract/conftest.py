"""An api for the official clients, on real servers that start empty."""

from collections.abc import Iterator

import pytest

from tests.support.served_api import ServedApi, fresh_api
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of the history."""
    return str(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def api(servers: Servers, history: str) -> Iterator[ServedApi]:
    """A served api; the tests of a module share it."""
    with fresh_api(servers, history=history) as served:
        yield served
