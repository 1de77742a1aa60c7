"""A fault test that never failed proves nothing: without a guard its case must find differences.

All of them: `make fault GUARDS=1`.
"""

from tests.fault.guards import GUARDS
from tests.fault.registry import all_cases
from tests.fault.servers import FaultServers
from tests.fault.suite import run_case


def test_without_applied_offsets_replayed_events_count_twice(faulted_servers: FaultServers, seed: int) -> None:
    guard = GUARDS[0]
    row = run_case(faulted_servers, guard.needed_by(all_cases()), seed, brief=True, patch=guard.patch)
    print(f"without applied offsets: {len(row.differences)} differences")
    assert any(line.startswith("state of") for line in row.differences)


def test_every_guard_names_a_case_and_a_patch_that_compiles() -> None:
    for guard in GUARDS:
        assert guard.needed_by(all_cases()).number == guard.case
        compile(guard.patch, guard.name, "exec")
