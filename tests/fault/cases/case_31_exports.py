"""Case 31: exports of changing segments while the exporter dies, at random and at every arrow, or the others fault.

Each export comes to its end, and its link gives one whole file with the members of one instant.
"""

import signal
from collections.abc import Callable

from tests.fault.check import Verdict, check
from tests.fault.exports import Exports
from tests.fault.registry import case, case_of
from tests.fault.supervised import SupervisedEvaluator
from tests.fault.world import RATE, World
from tests.support.evaluators import wait_for

ASKED, ASKED_IN_BRIEF = 8, 6
FAULTS, FAULTS_IN_BRIEF = 4, 2
PATIENCE_S = 120
SOON = {"SHOAL_EXPORTER_EXPORTS_AT_ONCE": "2", "SHOAL_EXPORTER_SESSION_TIMEOUT_S": "6"}


@case_of(
    31,
    "crash of the exporter at an export",
    ["after_export_walk", "before_export_rename", "after_export_rename", "after_export_report"],
)
def crash(world: World, variant: str) -> Verdict:
    _, exports = _begin(world)
    exports.ask(ASKED_IN_BRIEF if world.brief else ASKED)
    passage = world.random.randint(1, 2)
    crashing = world.new_exporter(SOON | {"SHOAL_EXPORTER_CRASH_AT": f"{variant}:{passage}"})
    wanted = FAULTS_IN_BRIEF if world.brief else FAULTS
    # with every report that is committed there is less to crash at
    wait_for(lambda: crashing.restarts >= min(wanted, passage * 2), PATIENCE_S, f"crashes at {variant}:{passage}")
    crashing.end()
    world.new_exporter(SOON).await_ready()
    otherwise = [life.last_line for life in crashing.lives if life.exit_code != -signal.SIGKILL]
    return _checked(world, exports, otherwise, f"{crashing.restarts} crashes at passage {passage}")


@case(31, "kill -9 of the exporter at random times while exports run")
def kill_exporter(world: World) -> Verdict:
    _, exports = _begin(world)
    exporter = world.new_exporter(SOON).await_ready()

    def fault() -> None:
        exporter.kill()
        exporter.await_ready()

    _fault_at_random(world, exports, fault)
    return _checked(world, exports, [], f"{exporter.restarts} kills")


@case(31, "the evaluator is killed, and Redis emptied, while exports run")
def others_fault(world: World) -> Verdict:
    evaluator, exports = _begin(world)
    world.new_exporter(SOON).await_ready()

    def fault() -> None:
        if world.random.random() < 0.5:
            evaluator.kill()
        else:
            world.stream.redis.flushall()

    _fault_at_random(world, exports, fault)
    return _checked(world, exports, [], f"{evaluator.restarts} kills of the evaluator")


def _begin(world: World) -> tuple[SupervisedEvaluator, Exports]:
    evaluator = world.new_evaluator(supervised=True).await_ready()
    world.activate()
    world.load()
    world.await_progress(RATE)
    return evaluator, Exports(world)


def _fault_at_random(world: World, exports: Exports, fault: Callable[[], None]) -> None:
    for _ in range(FAULTS_IN_BRIEF if world.brief else FAULTS):
        exports.ask(2)
        world.at_random(8, 1)
        fault()
    exports.ask(2)


def _checked(world: World, exports: Exports, faults: list[str], note: str) -> Verdict:
    exports.await_all()
    verdict = check(world)
    told = f"{len(exports.asked)} exports, {note}"
    return verdict.besides(*faults, *exports.wrong(), note=told)
