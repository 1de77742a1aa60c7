"""Some cases with one seed; `make fault` runs all of them, longer, with three."""

import pytest

from tests.fault.registry import Case, all_cases
from tests.fault.servers import FaultServers
from tests.fault.suite import run_case

SELECTED = [1, 3, 26, 28, 29]
CASES = [case for case in all_cases() if case.number in SELECTED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}: {case.title}")
def test_nothing_is_lost_doubled_or_stale(faulted_servers: FaultServers, case: Case, seed: int) -> None:
    row = run_case(faulted_servers, case, seed, brief=True)
    print(row)
    assert row.differences == []
