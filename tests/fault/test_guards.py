"""A fault test that never failed proves nothing: without a guard its case must find differences."""

from tests.fault.cases.case_01_kill_evaluator import kill_evaluator
from tests.fault.servers import FaultServers
from tests.fault.world import fresh_world

WITHOUT_APPLIED_OFFSETS = """
from services.evaluator.step import Step
from services.evaluator.__main__ import main
Step.applied_offset_guard = False
main()
"""


def test_without_applied_offsets_replayed_events_count_twice(faulted_servers: FaultServers, seed: int) -> None:
    with fresh_world(faulted_servers, seed, brief=True, entry=["-c", WITHOUT_APPLIED_OFFSETS]) as world:
        verdict = kill_evaluator(world)
    print(f"without applied offsets: {len(verdict.differences)} differences")
    assert any(line.startswith("state of") for line in verdict.differences)
