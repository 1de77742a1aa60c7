"""Case 29: Kafka stands still for some seconds, again and again, under load: no end of the log is a guess."""

from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.world import RATE, World

PAUSES, PAUSES_IN_BRIEF = 6, 2
SHORTEST_S, LONGEST_S = 1.6, 2.8
"""Longer than an evaluator waits for the ends of the partitions, shorter than the api's patience."""


@case(29, "Kafka stands still for seconds, again and again")
def broker_stands_still(world: World) -> Verdict:
    world.new_evaluator(supervised=True).await_ready()
    world.activate()
    world.load()
    for _ in range(PAUSES_IN_BRIEF if world.brief else PAUSES):
        world.await_progress(RATE)
        world.servers.kafka.pause()
        world.at_random(LONGEST_S, not_before_s=SHORTEST_S)
        world.servers.kafka.resume()
    world.await_recovery()
    return check(world, exactly=True)
