"""A stream with its workers, and the seed of a run (SHOAL_TEST_SEED repeats one)."""

import os
import random
from collections.abc import Callable, Iterator

import pytest

from tests.fault.state import PARTITIONS
from tests.support.evaluators import EvaluatorProcess, environment, evaluators
from tests.support.stream import Stream, fresh_stream


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed when a test fails."""
    chosen = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    print(f"SHOAL_TEST_SEED={chosen}")
    return chosen


@pytest.fixture
def stream(kafka_bootstrap_servers: str, redis_url: str) -> Iterator[Stream]:
    """Fresh topics."""
    with fresh_stream(kafka_bootstrap_servers, redis_url, PARTITIONS) as stream:
        yield stream


@pytest.fixture
def new_worker(stream: Stream, redis_url: str) -> Iterator[Callable[..., EvaluatorProcess]]:
    """Starts evaluators, ends them all."""
    with evaluators(environment(stream.bootstrap, redis_url)) as make:
        yield make
