"""Case 1: `kill -9` of the evaluator at random times under load, two workers part of the time."""

from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.supervised import SupervisedEvaluator
from tests.fault.world import RATE, World

KILLS, KILLS_IN_BRIEF = 20, 5
COMMIT_S = 1.0
IN_FLIGHT = 2 * RATE
"""Records read but not published, and what arrives while a commit is under way: two seconds' worth at most."""
ENVIRON = {"SHOAL_EVALUATOR_COMMIT_INTERVAL_S": str(COMMIT_S)}


@case(1, "kill -9 of the evaluator at random times under load")
def kill_evaluator(world: World) -> Verdict:
    worker = world.new_evaluator(supervised=True, environ=ENVIRON).await_ready()
    world.activate()
    world.load()
    kills = KILLS_IN_BRIEF if world.brief else KILLS
    replayed, second = 0, None
    for number in range(kills):
        if number == kills // 2:
            second = world.new_evaluator(supervised=True, environ=ENVIRON)
        if number == kills - 1 and second is not None:
            assert second.await_ready().stop() == 0
            second = None
        victim = world.random.choice([worker, second]) if second else worker
        replayed = max(replayed, _kill(world, victim, in_the_middle_of_work=number % 2 == 0))
    world.await_recovery()
    limit = round(COMMIT_S * RATE) + IN_FLIGHT
    too_many = [f"{replayed} records replayed after a kill (limit {limit})"] if replayed > limit else []
    return check(world, exactly=True).besides(
        *too_many, note=f"{kills} kills, {replayed} replayed at most (limit {limit})"
    )


def _kill(world: World, victim: SupervisedEvaluator, *, in_the_middle_of_work: bool) -> int:
    """Kill it, at work or wherever its start has come to; how many records will be replayed (0: not at work)."""
    if not in_the_middle_of_work:
        world.at_random(4)  # its start, its recovery, or at work again
        victim.kill()
        return 0
    world.await_recovery()
    world.at_random(1)
    victim.kill()
    committed = world.stream.committed()
    return sum(max(0, applied - committed[p]) for p, applied in world.stream.applied().items())
