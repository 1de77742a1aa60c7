"""Case 15: two relays, two exporters and two sweeps at once; one of each pair is a zombie for a while."""

import signal

from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.registry import case
from tests.fault.wishes import wrong_wishes
from tests.fault.world import RATE, World

STOPPED_S = 12.0
"""Longer than the session of an exporter in the group of archivers, and of an evaluator."""
ROUNDS, ROUNDS_IN_BRIEF = 2, 1


@case(15, "two apis, two exporters and two evaluators at work, one of each stopped for a while and back")
def two_of_each(world: World) -> Verdict:
    evaluators = [world.new_evaluator(supervised=True).await_ready() for _ in range(2)]
    exporters = [world.new_exporter({"SHOAL_EXPORTER_SESSION_TIMEOUT_S": "6"}).await_ready() for _ in range(2)]
    other = world.new_api()
    half = len(DEFINITIONS) // 2
    world.activate(DEFINITIONS[:half])
    world.load()
    for turn in range(ROUNDS_IN_BRIEF if world.brief else ROUNDS):
        world.await_progress(RATE)
        zombies = [exporters[turn % 2], evaluators[turn % 2], other]
        for process in zombies:
            process.send(signal.SIGSTOP)
        world.pass_time(STOPPED_S)
        for process in zombies:
            process.send(signal.SIGCONT)
        world.await_recovery()
    world.activate(DEFINITIONS[half:])
    world.await_recovery()
    ends = [life.last_line for process in (*exporters, *evaluators) for life in process.lives]
    return check(world).besides(*wrong_wishes(world), note=f"{len(ends)} ends by themselves")
