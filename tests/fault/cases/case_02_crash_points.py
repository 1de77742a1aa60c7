"""Case 2: a crash at each arrow of a batch, several times, each followed by a recovery under load."""

import signal
from concurrent.futures import ThreadPoolExecutor

from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.registry import case, case_of
from tests.fault.world import RATE, World
from tests.support.evaluators import wait_for

CRASHES, CRASHES_IN_BRIEF = 4, 2
PASSAGES = 20
OF_A_BATCH = (
    "after_fold",
    "after_changelog_send",
    "after_changelog",
    "after_redis",
    "after_changes",
    "after_sweep_changes",
    "before_flush",
    "before_commit",
)
A_COMMIT = ("before_flush", "before_commit")
PASSAGES_OF_A_COMMIT = 4
"""A commit comes three times a second, everything else with every batch."""
PATIENCE_S = 120


@case_of(2, "crash of the evaluator", OF_A_BATCH)
def crash(world: World, variant: str) -> Verdict:
    first = world.new_evaluator().await_ready()
    world.activate()
    world.load()
    world.await_progress(RATE)
    first.stop()
    passage = world.random.randint(1, PASSAGES_OF_A_COMMIT if variant in A_COMMIT else PASSAGES)
    crashing = world.new_evaluator(supervised=True, environ={"SHOAL_EVALUATOR_CRASH_AT": f"{variant}:{passage}"})
    wanted = CRASHES_IN_BRIEF if world.brief else CRASHES
    wait_for(lambda: crashing.restarts >= wanted, PATIENCE_S, f"{wanted} crashes at {variant}:{passage}")
    crashing.end()
    world.new_evaluator().await_ready()
    world.await_recovery()
    otherwise = [life for life in crashing.lives if life.exit_code != -signal.SIGKILL]
    faults = [f"ended with {life.exit_code}: {life.last_line}" for life in otherwise]
    return check(world, exactly=True).besides(*faults, note=f"{crashing.restarts} crashes at passage {passage}")


@case(2, "crash of the evaluator: while a compute gives everybody the new answer")
def crash_in_a_walk(world: World) -> Verdict:
    first = world.new_evaluator().await_ready()
    world.new_exporter()
    half = len(DEFINITIONS) // 2
    world.activate(DEFINITIONS[:half])
    world.load()
    world.await_progress(RATE)
    first.stop()
    environ = {"SHOAL_EVALUATOR_CRASH_AT": f"after_changes:{world.random.randint(1, 3)}"}
    crashing = world.new_evaluator(supervised=True, environ=environ)
    with ThreadPoolExecutor(1) as pool:
        computed = pool.submit(world.activate, DEFINITIONS[half:])
        wanted = CRASHES_IN_BRIEF if world.brief else CRASHES
        wait_for(lambda: crashing.restarts >= wanted, PATIENCE_S, f"{wanted} crashes")
        crashing.end()
        world.new_evaluator().await_ready()
        computed.result(PATIENCE_S)
    world.await_recovery()
    return check(world).besides(note=f"{crashing.restarts} crashes")
