"""Fresh topics with a small number of partitions, and workers."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.evaluators import EvaluatorProcess, environment, evaluators
from tests.support.stream import Stream, fresh_stream

PARTITIONS = 4


@pytest.fixture
def stream(kafka_bootstrap_servers: str, redis_url: str) -> Iterator[Stream]:
    """Fresh topics."""
    with fresh_stream(kafka_bootstrap_servers, redis_url, PARTITIONS) as stream:
        yield stream


@pytest.fixture
def new_worker(stream: Stream, redis_url: str) -> Iterator[Callable[..., EvaluatorProcess]]:
    """Starts evaluators, ends them all."""
    with evaluators(environment(stream.bootstrap, redis_url, SHOAL_PARTITIONS=str(PARTITIONS))) as make:
        yield make
