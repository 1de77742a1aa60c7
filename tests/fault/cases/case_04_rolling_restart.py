"""Case 4: SIGTERM under load, a rolling restart of all workers."""

import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.fault import counting_evaluator
from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.world import RATE, World
from tests.support.evaluators import EvaluatorProcess

WORKERS = 2
ROUNDS, ROUNDS_IN_BRIEF = 3, 1
DEADLINE_S = 20.0


@case(4, "SIGTERM under load: rolling restart of all workers")
def rolling_restart(world: World) -> Verdict:
    workers = [world.new_evaluator(counting_evaluator.ENTRY) for _ in range(WORKERS)]
    for worker in workers:
        worker.await_ready()
    world.activate()
    world.load()
    faults, slowest_s, again = [], 0.0, 0
    for turn in range(WORKERS * (ROUNDS_IN_BRIEF if world.brief else ROUNDS)):
        world.await_progress(RATE)
        leaving = workers[turn % WORKERS]
        again += _read_again(leaving)
        began_s = time.monotonic()
        if code := leaving.stop():
            faults.append(f"a worker ended with {code}: {leaving.last_lines(1)}")
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        workers[turn % WORKERS] = world.new_evaluator(counting_evaluator.ENTRY).await_ready()
    world.await_progress(RATE)
    world.await_recovery()
    again += sum(map(_read_again, workers))
    if slowest_s > DEADLINE_S:
        faults.append(f"a worker took {slowest_s:.1f} s to end (limit {DEADLINE_S:g} s)")
    if again:
        faults.append(f"{again} events were read again")
    return check(world, exactly=True).besides(*faults, note=f"ended within {slowest_s:.1f} s, {again} read again")


def _read_again(worker: EvaluatorProcess) -> int:
    """How many events the worker read that the state contained already."""
    with urllib.request.urlopen(f"{worker.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == counting_evaluator.NAME:
                return int(sample.value)
    raise AssertionError(f"{worker.url}/metrics has no {counting_evaluator.NAME}")
