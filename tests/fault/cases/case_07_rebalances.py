"""Case 7: the keeper of the group fails over, and workers join and leave all the time: one owner each at the end."""

import signal

from tests.fault.check import Verdict, check
from tests.fault.owners import wrong_owners
from tests.fault.registry import case
from tests.fault.world import World
from tests.support.evaluators import EvaluatorProcess
from tests.support.stream import GROUP

FAILOVERS, FAILOVERS_IN_BRIEF = 2, 1
CLUSTER_RATE = 300
MOVES, MOVES_IN_BRIEF = 24, 8
MOST_WORKERS = 4
PAUSE_S = 3.0
STOPPED_S = 60
STORM_RATE = 400
"""Events a second: half a machine is busy with starting workers."""


@case(7, "the node that keeps the group is killed", on_cluster=True)
def kill_the_coordinator(world: World) -> Verdict:
    cluster = world.servers.cluster
    assert cluster is not None
    workers = [world.new_evaluator(supervised=True).await_ready() for _ in range(2)]
    world.activate()
    world.load(CLUSTER_RATE)
    for _ in range(FAILOVERS_IN_BRIEF if world.brief else FAILOVERS):
        cluster.await_in_sync()
        world.await_progress(CLUSTER_RATE)
        world.at_random(1)
        killed = cluster.coordinator(GROUP)
        cluster.kill(killed)
        world.await_recovery()
        cluster.restart(killed)
    found = wrong_owners(world, workers)
    return check(world).besides(*found, note=f"the workers ended {[worker.restarts for worker in workers]} times")


@case(7, "workers join and leave all the time")
def join_and_leave(world: World) -> Verdict:
    """Starts, stops in order and kills, each before the one before has settled."""
    steady = world.new_evaluator(supervised=True).await_ready()
    world.activate()
    world.load(STORM_RATE)
    guests: list[EvaluatorProcess] = []
    gone: list[tuple[EvaluatorProcess, bool]] = []
    moves = MOVES_IN_BRIEF if world.brief else MOVES
    for _ in range(moves):
        if not guests or (len(guests) < MOST_WORKERS - 1 and world.random.random() < 0.5):
            guests.append(world.new_evaluator())
        else:
            guest = guests.pop(world.random.randrange(len(guests)))
            killed = world.random.random() < 0.3
            guest.send(signal.SIGKILL if killed else signal.SIGTERM)
            gone.append((guest, killed))
        world.at_random(PAUSE_S)
    world.await_recovery()
    found = [
        f"a worker that was told to stop ended with {code}; its log ends:\n{guest.last_lines(3)}"
        for guest, killed in gone
        if (code := guest.await_exit(STOPPED_S)) not in (0, -signal.SIGTERM) and not killed
    ]
    for guest in guests:  # one that has only just started would join while the owners are looked at
        guest.await_ready()
    found += wrong_owners(world, [steady, *guests])
    note = f"{moves} joins and leaves, the steady worker ended {steady.restarts} times"
    return check(world).besides(*found, note=note)
