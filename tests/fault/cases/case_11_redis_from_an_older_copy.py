"""Case 11: Redis comes back with an older copy of its data: noticed, by the same owner and by a new one.

Some users join after the copy and never do anything again: only a writer that notices the copy's age writes them.
"""

import shutil
from pathlib import Path

from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.lookups import LookupWatch, join, with_members
from tests.fault.registry import case_of
from tests.fault.world import World

NOTICED_S = 10.0
"""From the instant at which Redis answers until every member is known again."""


@case_of(11, "Redis comes back with an older copy", ["under the same owner", "under a new owner"])
def restore_an_older_copy(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator().await_ready()
    watch = with_members(world, DEFINITIONS)
    world.load()
    world.await_progress(1_000)
    data = Path(world.stream.redis.config_get("dir")["dir"]) / "appendonlydir"
    copy = data.with_name("older")
    _copy(world, data, copy)
    later = join(world, "later")
    world.await_progress(1_000)
    world.at_random(1)
    if variant == "under a new owner":
        worker.kill()
    world.servers.valkey.kill()
    shutil.rmtree(data)
    copy.rename(data)
    world.servers.valkey.start()
    if variant == "under a new owner":
        worker = world.new_evaluator().await_ready()
    # those of before the copy are in it: they are members in every answer; the later ones once the age is noticed
    watch_later = LookupWatch(world, watch.segment_id, later)
    noticed_s = watch_later.await_members(60)
    world.await_recovery()
    watch.finish()
    watch_later.finish()
    late = (
        [f"the copy's age was noticed after {noticed_s:.1f} s (limit {NOTICED_S:g} s)"] if noticed_s > NOTICED_S else []
    )
    note = f"known again after {noticed_s:.1f} s, {len(watch.found)} lookups, {len(watch.refused())} refused"
    return check(world).besides(*watch.wrong(), *late, note=note)


def _copy(world: World, data: Path, copy: Path) -> None:
    """A copy as of one instant: nothing is written meanwhile."""
    world.servers.valkey.pause()
    shutil.copytree(data, copy)
    world.servers.valkey.resume()
