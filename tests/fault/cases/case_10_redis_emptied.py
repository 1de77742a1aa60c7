"""Case 10: Redis loses everything, by `kill -9` and an empty restart or by FLUSHALL: noticed, and written anew.

A lookup of a member is refused meanwhile; it never says that the user is in no segment.
"""

import shutil
from pathlib import Path

from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.lookups import with_members
from tests.fault.registry import case_of
from tests.fault.world import World

REBUILT_S = 10.0
"""So long it may take to notice the loss and to write everything anew, from the instant at which Redis answers."""


@case_of(10, "Redis loses everything", ["kill -9 and an empty restart", "FLUSHALL"])
def empty_redis(world: World, variant: str) -> Verdict:
    world.new_evaluator().await_ready()
    watch = with_members(world, DEFINITIONS)
    world.load()
    slowest = 0.0
    for _ in range(1 if world.brief else 3):
        world.await_progress(1_000)
        world.at_random(1)
        if variant == "FLUSHALL":
            world.stream.redis.flushall()
        else:
            data = Path(world.stream.redis.config_get("dir")["dir"]) / "appendonlydir"
            world.servers.valkey.kill()
            world.at_random(1)
            shutil.rmtree(data)
            world.servers.valkey.start()
        slowest = max(slowest, watch.await_members(60))
        world.await_recovery()
    watch.finish()
    late = [f"members are known again after {slowest:.1f} s (limit {REBUILT_S:g} s)"] if slowest > REBUILT_S else []
    note = f"{len(watch.found)} lookups, {len(watch.refused())} refused, known again after {slowest:.1f} s at most"
    return check(world).besides(*watch.wrong(), *late, note=note)
