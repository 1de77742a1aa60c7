"""Fresh topics with a small number of partitions, a folder for the history, and exporters."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.history.address import HistoryAddress
from tests.support.evaluators import EvaluatorProcess, ExporterProcess, environment, evaluators, exporters
from tests.support.stream import Stream, fresh_stream

PARTITIONS = 4


@pytest.fixture
def stream(kafka_bootstrap_servers: str, redis_url: str) -> Iterator[Stream]:
    """Fresh topics."""
    with fresh_stream(kafka_bootstrap_servers, redis_url, PARTITIONS) as stream:
        yield stream


@pytest.fixture
def address(tmp_path: Path) -> HistoryAddress:
    """Where the history of this test lies."""
    return HistoryAddress.of(str(tmp_path / "history"))


@pytest.fixture
def new_exporter(
    stream: Stream, address: HistoryAddress, redis_url: str, tmp_path: Path
) -> Iterator[Callable[..., ExporterProcess]]:
    """Starts exporters with the short times of tests, ends them all."""
    environ = {
        "SHOAL_KAFKA_BOOTSTRAP_SERVERS": stream.bootstrap,
        "SHOAL_PARTITIONS": str(PARTITIONS),
        "SHOAL_REDIS_URL": redis_url,
        "SHOAL_HISTORY": address.uri,
        "SHOAL_EXPORTS": str(tmp_path / "exports"),
        "SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": "0.2",
        "SHOAL_EXPORTER_SESSION_TIMEOUT_S": "2",
    }
    with exporters(environ) as make:
        yield make


@pytest.fixture
def evaluator(stream: Stream, redis_url: str) -> Iterator[EvaluatorProcess]:
    """One at work."""
    with evaluators(environment(stream.bootstrap, redis_url, SHOAL_PARTITIONS=str(PARTITIONS))) as make:
        yield make().await_ready()
