"""Case 9: half-open connections: both ends believe in them, and nothing arrives. New connections work.

Nothing tells a worker but its own patience. To Kafka: within the session timeout, beside another worker that takes
over, or by itself; to Redis: within the time limit of an answer.
"""

from tests.fault.check import Verdict, check
from tests.fault.redis_proxy import redis_proxy
from tests.fault.registry import case, case_of
from tests.fault.world import World

SESSION_S = 6
RESTART_S = 15
"""A start, a join and a recovery on a busy machine."""
ALONE, BESIDE = "the only worker", "one of two workers"
SETTINGS = {"SHOAL_EVALUATOR_SESSION_TIMEOUT_S": str(SESSION_S)}


@case_of(9, "half-open connections to Kafka", [ALONE, BESIDE])
def lose_connections_to_kafka(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator(environ=SETTINGS | world.servers.behind_proxy, supervised=True).await_ready()
    if variant == BESIDE:
        world.new_evaluator(environ=SETTINGS).await_ready()
    world.activate()
    world.load()
    world.await_progress(1_000)
    world.at_random(1)
    world.servers.kafka_proxy.lose_connections()
    took_s = world.await_recovery()
    limit_s = SESSION_S + RESTART_S
    late = [f"recovered after {took_s:.1f} s (session timeout and restart: {limit_s} s)"] if took_s > limit_s else []
    world.await_progress(1_000)
    note = f"recovered after {took_s:.1f} s, the worker ended {worker.restarts} times"
    return check(world).besides(*late, note=note)


@case(9, "half-open connections to Redis")
def lose_connections_to_redis(world: World) -> Verdict:
    with redis_proxy(world) as (proxy, behind):
        worker = world.new_evaluator(environ=behind, supervised=True).await_ready()
        world.activate()
        world.load()
        world.await_progress(1_000)
        world.at_random(1)
        proxy.lose_connections()
        took_s = world.await_recovery()
        verdict = check(world)
    return verdict.besides(note=f"recovered after {took_s:.1f} s, the worker ended {worker.restarts} times")
