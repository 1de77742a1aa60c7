"""Case 3: an evaluator is stopped for three session timeouts, another takes over, then it goes on: a zombie."""

import signal

from tests.fault.check import Verdict, check
from tests.fault.claims import Ownership, stop_until_replaced
from tests.fault.registry import case
from tests.fault.world import RATE, World

ROUNDS, ROUNDS_IN_BRIEF = 3, 1


@case(3, "SIGSTOP for three session timeouts, a takeover, SIGCONT: a zombie")
def zombie(world: World) -> Verdict:
    workers = [world.new_evaluator(supervised=True) for _ in range(2)]
    for worker in workers:
        worker.await_ready()
    world.activate()
    world.load()
    faults = []
    for turn in range(ROUNDS_IN_BRIEF if world.brief else ROUNDS):
        world.await_progress(RATE)
        stopped, other = workers[turn % 2], workers[(turn + 1) % 2]
        stop_until_replaced(world, stopped)
        before = _epochs(world)
        stopped.send(signal.SIGCONT)
        world.await_recovery()
        world.await_progress(RATE)  # it has had the time to write what it had queued
        faults += [
            f"partition {p}: the epoch in Redis went from {before[p]} back to {epoch}"
            for p, epoch in _epochs(world).items()
            if epoch < before[p]
        ]
        other.kill()  # a further recovery: what the zombie wrote late must not come up in it
        world.await_recovery()
    late = Ownership(world.stream).late
    ends = [life.last_line for worker in workers for life in worker.lives if life.exit_code >= 0]
    return check(world, exactly=True).besides(*faults, note=f"{late} late records, {len(ends)} ends by themselves")


def _epochs(world: World) -> dict[int, int]:
    """The epoch of each partition's head in Redis."""
    return {p: int(world.stream.redis.get(b"{%d}:head" % p).split()[0]) for p in range(world.stream.partitions)}
