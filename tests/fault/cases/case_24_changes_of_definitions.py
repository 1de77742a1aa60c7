"""Case 24: segments are made, edited and deleted under load and computed from history, the worker dies in the middle;
then everybody is away for longer than the windows, and nothing happens meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.fault.check import Verdict, check, quiesce
from tests.fault.definitions import DEFINITIONS, LONGEST_SHORT_WINDOW_US
from tests.fault.registry import case, case_of
from tests.fault.supervised import Supervised
from tests.fault.world import World
from tests.support.evaluators import wait_for

PATIENCE_S = 120
THIRD = len(DEFINITIONS) // 3
RATE = 2_000
"""Events a second."""
AT_RANDOM, ARCHIVER = "at random times", "of the archiver, between data file and commit"


@case_of(
    24, "definitions change under load, kill -9 in a backfill", [AT_RANDOM, "after_merge", "after_merges", ARCHIVER]
)
def change_definitions(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator(supervised=True).await_ready()
    exporter = world.new_exporter().await_ready()
    world.load(RATE)
    world.await_progress(3 * RATE)
    world.activate(DEFINITIONS[:THIRD])
    crashing = _crashing(world, variant, worker, exporter)
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(_change, world)
        if crashing is None:
            for victim in (worker, exporter, worker):
                world.at_random(2)
                victim.kill()
        else:
            wait_for(lambda: crashing.restarts > 0, PATIENCE_S, f"a crash {variant}")
            crashing.end()
            (exporter if variant == ARCHIVER else worker).start()
        changed.result(PATIENCE_S)
    world.await_recovery()
    deaths = len(worker.lives) + len(exporter.lives) + (len(crashing.lives) if crashing else 0)
    return check(world).besides(note=f"{deaths} deaths in it")


def _crashing(world: World, variant: str, worker: Supervised, exporter: Supervised) -> Supervised | None:
    """Who dies at the place of the variant, instead of the one that was at work; None: nobody by itself."""
    if variant == AT_RANDOM:
        return None
    if variant == ARCHIVER:
        exporter.stop()
        return world.new_exporter({"SHOAL_EXPORTER_CRASH_AT": f"after_data_file:{world.random.randint(1, 4)}"})
    worker.stop()
    environ = {"SHOAL_EVALUATOR_CRASH_AT": f"{variant}:{world.random.randint(1, 30)}"}
    return world.new_evaluator(supervised=True, environ=environ).await_ready()


def _change(world: World) -> None:
    """New ones, an edited one, one that is edited while it is computed, one deleted while it is computed."""
    with world.api.client() as client:
        edited, overtaken, *_ = list(world.segments)
        definition = DEFINITIONS[THIRD]
        for segment_id in (edited, overtaken):
            _said(client.patch(f"/api/segments/{segment_id}/", json={"definition": definition}))
            _said(client.post(f"/api/segments/{segment_id}/compute/"))
        definition = DEFINITIONS[THIRD + 1]
        _said(client.patch(f"/api/segments/{overtaken}/", json={"definition": definition}))
        _said(client.post(f"/api/segments/{overtaken}/compute/"))
        made = client.post("/api/segments/", json={"name": "short-lived", "definition": DEFINITIONS[-1]})
        deleted = _said(made)["id"]
        _said(client.post(f"/api/segments/{deleted}/compute/"))
        _said(client.delete(f"/api/segments/{deleted}/"))
        for segment_id in (edited, overtaken):
            world.api.await_computed(client, segment_id, PATIENCE_S)
    world.segments |= {edited: DEFINITIONS[THIRD], overtaken: definition}
    world.activate(DEFINITIONS[THIRD + 2 :])


def _said(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


@case(24, "windows end while everybody is away and no event comes")
def windows_end_meanwhile(world: World) -> Verdict:
    worker = world.new_evaluator().await_ready()
    world.new_exporter().await_ready()
    load = world.load()
    world.await_progress(3 * RATE)
    world.activate()
    world.await_progress(RATE)
    load.finish()
    world.stream.await_committed()
    worker.kill()
    world.pass_time(LONGEST_SHORT_WINDOW_US / 1_000_000 + 1)
    world.new_evaluator().await_ready()
    world.await_recovery()
    quiesce(world)
    return check(world)
