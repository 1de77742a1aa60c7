"""Case 33: writes are read back by their position, and members walked over, while evaluators die and Redis is emptied.

A fresh answer always has what was written, and a walk meets whoever stays exactly once.
"""

from tests.fault.check import Verdict, check
from tests.fault.lookups import JOINED, join
from tests.fault.reads import walking, writing_and_reading
from tests.fault.registry import case_of
from tests.fault.world import World

STAY, LIMIT = 500, 20
ROUNDS, ROUNDS_IN_BRIEF = 4, 1
KILLED, EMPTIED = "the evaluator is killed", "Redis is emptied"


@case_of(33, "writes are read back and members walked over while", [KILLED, EMPTIED])
def reads(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator(supervised=True).await_ready()
    world.activate([JOINED])
    (segment_id,) = world.segments
    members = join(world, "stays", STAY)
    world.load()
    world.await_recovery()
    readings = [writing_and_reading(world, segment_id), walking(world, segment_id, members, LIMIT)]
    for _ in range(ROUNDS_IN_BRIEF if world.brief else ROUNDS):
        for reading in readings:
            reading.await_rounds(2)
        world.at_random(1)
        if variant == KILLED:
            worker.kill()
        else:
            world.stream.redis.flushall()
        world.at_random(2)
        world.await_recovery()
    for reading in readings:
        reading.await_rounds(2)
        reading.finish()
    note = f"{readings[0].rounds} writes read back, {readings[1].rounds} walks"
    return check(world).besides(*(fault for reading in readings for fault in reading.faults), note=note)
