"""Fresh topics with a small number of partitions, and workers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.evaluators import EvaluatorProcess, ExporterProcess, environment, evaluators, exporters
from tests.support.stream import Stream, fresh_stream

PARTITIONS = 4


@pytest.fixture
def stream(kafka_bootstrap_servers: str, redis_url: str) -> Iterator[Stream]:
    """Fresh topics."""
    with fresh_stream(kafka_bootstrap_servers, redis_url, PARTITIONS) as stream:
        yield stream


@pytest.fixture
def environ(stream: Stream, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Of workers and exporters, which have a history of their own."""
    history = {"SHOAL_HISTORY": str(tmp_path / "history"), "SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": "0.2"}
    return environment(stream.bootstrap, redis_url, SHOAL_PARTITIONS=str(PARTITIONS), **history)


@pytest.fixture
def new_worker(environ: dict[str, str]) -> Iterator[Callable[..., EvaluatorProcess]]:
    """Starts evaluators, ends them all."""
    with evaluators(environ) as make:
        yield make


@pytest.fixture
def exporter(environ: dict[str, str]) -> Iterator[ExporterProcess]:
    """One at work: everything that is sent is archived."""
    with exporters(environ) as make:
        yield make().await_ready()
