"""Case 26: partitions move A -> B -> A under load with no process dying: a worker joins and leaves, several times."""

from tests.fault.check import Verdict, check
from tests.fault.claims import Ownership
from tests.fault.registry import case
from tests.fault.world import RATE, World

GUESTS, GUESTS_IN_BRIEF = 5, 2


@case(26, "partitions move A -> B -> A, nobody dies")
def move_and_return(world: World) -> Verdict:
    host = world.new_evaluator().await_ready()
    world.activate()
    world.load()
    faults = []
    for _ in range(GUESTS_IN_BRIEF if world.brief else GUESTS):
        world.await_progress(RATE)
        guest = world.new_evaluator().await_ready()
        world.await_progress(RATE)
        if code := guest.stop():
            faults.append(f"a guest ended with {code}: {guest.last_lines(1)}")
    world.await_recovery()
    if host.exit_code() is not None:
        faults.append(f"the host ended with {host.exit_code()}: {host.last_lines(1)}")
    returns = Ownership(world.stream).returns
    if not returns:
        faults.append("no partition came back: nothing was tried")
    return check(world, exactly=True).besides(*faults, note=f"{returns} returns of a partition")
