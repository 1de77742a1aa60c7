"""Case 5: `kill -9` of the only broker, and of three in turn, under load: what was acknowledged survives."""

from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.world import World
from tests.support.kafka_cluster import NODES

KILLS, KILLS_IN_BRIEF = 3, 1
LONGEST_OUTAGE_S = 3
CLUSTER_RATE = 300
"""Events a second; three nodes write each three times."""


@case(5, "kill -9 and restart of the only broker under load")
def kill_the_broker(world: World) -> Verdict:
    worker = world.new_evaluator(supervised=True).await_ready()
    world.activate()
    world.load()
    kills = KILLS_IN_BRIEF if world.brief else KILLS
    for _ in range(kills):
        world.await_progress(2_000)
        world.at_random(1)
        world.servers.kafka.kill()
        world.at_random(LONGEST_OUTAGE_S)
        world.servers.kafka.start()
        world.await_recovery()
    return check(world).besides(note=f"{kills} kills, the evaluator ended {worker.restarts} times, {_answers(world)}")


@case(5, "kill -9 and restart of three brokers in turn under load", on_cluster=True)
def kill_each_broker_in_turn(world: World) -> Verdict:
    """Three copies, two of which must have a message: two nodes go on without the third, and nothing is refused."""
    cluster = world.servers.cluster
    assert cluster is not None
    worker = world.new_evaluator(supervised=True).await_ready()
    world.activate()
    world.load(CLUSTER_RATE)
    for number in world.random.sample(range(1, NODES + 1), NODES):
        cluster.await_in_sync()
        world.await_progress(CLUSTER_RATE)
        world.at_random(1)
        cluster.kill(number)
        world.await_recovery()  # by the two that are left
        cluster.restart(number)
    cluster.await_in_sync()
    world.await_recovery()
    return check(world).besides(note=f"the evaluator ended {worker.restarts} times, {_answers(world)}")


def _answers(world: World) -> str:
    refused = sum(answer.outcome != "acknowledged" for answer in world.answers)
    return f"{refused} of {len(world.answers)} calls not acknowledged"
