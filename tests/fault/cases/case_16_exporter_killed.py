"""Case 16: `kill -9` of an exporter between data files and commit, after the commit, and at any time under load.

What it archives after a start has other borders than before; every event and every change is in the history
once all the same.
"""

import signal

from deltalake import DeltaTable

from shared.history.schema import CHANGES, EVENTS, TableSchema
from tests.fault.check import Verdict, check
from tests.fault.registry import case, case_of
from tests.fault.world import RATE, World
from tests.support.evaluators import wait_for

CRASHES, CRASHES_IN_BRIEF = 4, 2
PASSAGES = 6
PATIENCE_S = 120


@case_of(16, "crash of the exporter", ["after_data_file", "after_delta_commit"])
def crash(world: World, variant: str) -> Verdict:
    _begin(world)
    passage = world.random.randint(1, PASSAGES)
    crashing = world.new_exporter({"SHOAL_EXPORTER_CRASH_AT": f"{variant}:{passage}"})
    wanted = CRASHES_IN_BRIEF if world.brief else CRASHES
    wait_for(lambda: crashing.restarts >= wanted, PATIENCE_S, f"{wanted} crashes at {variant}:{passage}")
    crashing.end()
    world.new_exporter().await_ready()
    world.await_progress(RATE)
    otherwise = [life.last_line for life in crashing.lives if life.exit_code != -signal.SIGKILL]
    return _checked(world, otherwise, f"{crashing.restarts} crashes at passage {passage}")


@case(16, "kill -9 of the exporter at random times under load")
def kill_exporter(world: World) -> Verdict:
    _begin(world)
    exporter = world.new_exporter().await_ready()
    for _ in range(CRASHES_IN_BRIEF if world.brief else CRASHES):
        world.await_progress(RATE)
        world.at_random(1)
        exporter.kill()
        exporter.await_ready()
    return _checked(world, [], f"{exporter.restarts} kills")


def _begin(world: World) -> None:
    world.new_evaluator().await_ready()
    world.activate()
    world.load()
    world.await_progress(RATE)


def _checked(world: World, faults: list[str], note: str) -> Verdict:
    """As `check`; then what crashes left behind is removed, and the table is still whole."""
    verdict = check(world)
    orphans = [path for schema in (EVENTS, CHANGES) for path in _vacuum(world, schema)]
    again = [f"after vacuum: {line}" for line in check(world).differences]
    return verdict.besides(*faults, *again, note=f"{note}, {len(orphans)} files that no commit names")


def _vacuum(world: World, schema: TableSchema) -> list[str]:
    table = DeltaTable(str(world.history / schema.name))
    return table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
