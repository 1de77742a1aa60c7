"""Case 28: a crash after the sweep's changes are sent and before the commit; then a late event of the same user."""

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

from services.evaluator.state_records import PartitionRecord
from shared.contracts.redis_keys import clock_key
from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.world import World

WINDOW_S = 5
USERS = 60
LATE_S = 0.5
"""So long before the crash the late event occurred: the user was in at the time, and had not left yet."""
NO_COMMIT = {"SHOAL_EVALUATOR_COMMIT_INTERVAL_S": "30"}
PATIENCE_S = 60


@case(28, "crash after the sweep's changes, then a late event of the user")
def crash_after_sweep(world: World) -> Verdict:
    first = world.new_evaluator().await_ready()
    world.activate([_visited("gte", WINDOW_S), _visited("lt", WINDOW_S - 1), _visited("gte", 3600)])
    first.stop()
    tracker = world.tracker()
    faults, crashed_at_us = [], []
    for passage in range(1, 2 if world.brief else 4):
        tracker.track([tracker.number(_visit(user)) for user in range(USERS)])
        crash_at = {"SHOAL_EVALUATOR_CRASH_AT": f"after_sweep_changes:{passage}"}
        code = world.new_evaluator(environ=NO_COMMIT | crash_at).await_exit(PATIENCE_S)
        if code != -signal.SIGKILL:
            faults.append(f"the evaluator ended with {code}")
        clocks, occurred_at = _clocks(world), datetime.now(UTC) - timedelta(seconds=LATE_S)
        crashed_at_us.append(max(clocks.values()))
        tracker.track([tracker.number(_visit(user, occurred_at)) for user in range(USERS)])
        world.new_evaluator().await_ready()
        world.await_recovery()
        faults += _gone_back(clocks, world.stream.states()[1])
        world.processes[-1].stop()
    world.new_evaluator().await_ready()
    tracker.close()
    return check(world, exactly=True).besides(*faults, note=f"{len(crashed_at_us)} crashes")


def _visited(operator: str, window_seconds: int) -> dict[str, Any]:
    condition = {"type": "event_count", "event_type": "visit", "operator": operator, "value": 1}
    return {"logic": "AND", "conditions": [condition | {"window_seconds": window_seconds}]}


def _visit(user: int, occurred_at: datetime | None = None) -> dict[str, Any]:
    event = {"user_id": f"user-{user}", "event_type": "visit"}
    return event if occurred_at is None else event | {"occurred_at": occurred_at.isoformat()}


def _clocks(world: World) -> dict[int, int]:
    """T of each partition as Redis has it, in microseconds."""
    return {p: int(world.stream.redis.get(clock_key(p)) or 0) for p in range(world.stream.partitions)}


def _gone_back(before: dict[int, int], after: dict[int, PartitionRecord]) -> list[str]:
    return [
        f"partition {p}: T went from {clock} back to {after[p].clock}"
        for p, clock in before.items()
        if after[p].clock < clock
    ]
