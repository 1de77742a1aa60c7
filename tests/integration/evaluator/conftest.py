"""Fresh topics with a small number of partitions, and workers."""

from collections.abc import Callable, Iterator

import pytest

from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics
from tests.support.evaluators import EvaluatorProcess, environment, evaluators
from tests.support.stream import Stream

PARTITIONS = 4


@pytest.fixture
def stream(kafka_bootstrap_servers: str, redis_url: str) -> Iterator[Stream]:
    """Fresh topics."""
    ensure_topics(kafka_bootstrap_servers, declare(PARTITIONS))
    opened = Stream(kafka_bootstrap_servers, redis_url, PARTITIONS)
    yield opened
    opened.close()


@pytest.fixture
def new_worker(stream: Stream, redis_url: str) -> Iterator[Callable[..., EvaluatorProcess]]:
    """Starts evaluators, ends them all."""
    with evaluators(environment(stream.bootstrap, redis_url, SHOAL_PARTITIONS=str(PARTITIONS))) as make:
        yield make
