"""Case 24: segments are made, edited and deleted under load and computed from history, the worker dies in the middle;
then everybody is away for longer than the windows, and nothing happens meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.fault.check import Verdict, check, quiesce
from tests.fault.definitions import DEFINITIONS, LONGEST_SHORT_WINDOW_US
from tests.fault.registry import case, case_of
from tests.fault.world import RATE, World
from tests.support.evaluators import wait_for

PATIENCE_S = 120
THIRD = len(DEFINITIONS) // 3
AT_RANDOM = "at random times"


@case_of(24, "definitions change under load, kill -9 in a backfill", [AT_RANDOM, "after_merge", "after_merges"])
def change_definitions(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator(supervised=True).await_ready()
    exporter = world.new_exporter().await_ready()
    world.load()
    world.await_progress(3 * RATE)
    world.activate(DEFINITIONS[:THIRD])
    crashing = worker
    if variant != AT_RANDOM:
        worker.stop()
        place = f"{variant}:{world.random.randint(1, 30)}"
        crashing = world.new_evaluator(supervised=True, environ={"SHOAL_EVALUATOR_CRASH_AT": place}).await_ready()
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(_change, world)
        if variant == AT_RANDOM:
            for victim in (worker, exporter, worker):
                world.at_random(2)
                victim.kill()
        else:
            wait_for(lambda: crashing.restarts > 0, PATIENCE_S, f"a crash at {place}")
            crashing.end()
            worker.start()
        changed.result(PATIENCE_S)
    world.await_recovery()
    return check(world).besides(note=f"the evaluator died {len(crashing.lives)} times in it")


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
