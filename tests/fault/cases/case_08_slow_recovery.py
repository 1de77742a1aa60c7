"""Case 8: the broker is slow (2 KB/s) while a worker recovers its state, for longer than the standstill limit.

The worker recovers, or its watchdog ends it and the next start recovers; it is never ready before it knows all.
"""

import time

from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.world import RECOVERED_S, World
from tests.support.evaluators import EvaluatorProcess, metric, wait_for

BYTES_PER_S = 2_000
SLOW_S, SLOW_IN_BRIEF_S = 30.0, 15.0
STANDSTILL_S = 10
EVENTS = 4_000
GIVEN_S = 60
SETTINGS = {"SHOAL_EVALUATOR_STANDSTILL_S": str(STANDSTILL_S), "SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "6"}
"""A heartbeat at 2 KB/s still takes less than the session timeout."""
OURS, ANOTHER_LIFE = "ours from epoch", "to be started again"
"""What the log says of each partition that is recovered, and at the end of a worker that stood still."""


@case(8, "the broker is slow while a worker recovers")
def slow_down_recovery(world: World) -> Verdict:
    first = world.new_evaluator().await_ready()
    world.activate()
    world.load()
    world.await_progress(EVENTS)
    first.kill()
    proxy = world.servers.kafka_proxy
    worker = world.new_evaluator(environ=SETTINGS | world.servers.behind_proxy, supervised=True)
    # its partitions are given to it: it claims them, and reads their state
    wait_for(lambda: metric(worker, "shoal_evaluator_partitions") > 0, GIVEN_S, "the worker has partitions")
    proxy.set_throttle(BYTES_PER_S)
    found, over_s = [], time.monotonic() + (SLOW_IN_BRIEF_S if world.brief else SLOW_S)
    while time.monotonic() < over_s:
        said, recovered = worker.readiness(), _recovered(worker)
        if said and set(said.values()) == {"ok"} and recovered < world.stream.partitions:
            found.append(f"ready with {recovered} partitions recovered")
        world.pass_time(0.1)
    note = f"{_recovered(worker)} partitions recovered meanwhile, the worker stood still {worker.restarts} times"
    proxy.set_pass()
    world.await_recovery()
    wait_for(lambda: set(worker.readiness().values()) == {"ok"}, RECOVERED_S, "the worker is ready")
    return check(world).besides(*found, note=note)


def _recovered(worker: EvaluatorProcess) -> int:
    """How many partitions the present life of the worker has recovered."""
    return worker.log.read_text(errors="replace").rsplit(ANOTHER_LIFE, 1)[-1].count(OURS)
