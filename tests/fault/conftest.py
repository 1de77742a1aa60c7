"""The suite's own servers, and the seed of a run (SHOAL_TEST_SEED repeats one)."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.fault.servers import FaultServers, fault_servers


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed when a test fails."""
    chosen = int(os.environ.get("SHOAL_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    print(f"SHOAL_TEST_SEED={chosen}")
    return chosen


@pytest.fixture(scope="session")
def faulted_servers() -> Iterator[FaultServers]:
    """Servers that may be killed."""
    with fault_servers() as servers:
        yield servers
