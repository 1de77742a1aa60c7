"""Who owns each partition at the end: one worker, and nobody else acts."""

from collections.abc import Sequence

from shared.contracts.redis_keys import head_key
from tests.fault.world import World
from tests.support.evaluators import EvaluatorProcess, metric, wait_for

_PATIENCE_S = 60


def wrong_owners(world: World, workers: Sequence[EvaluatorProcess]) -> list[str]:
    """Wait until these workers share all partitions, each partition once; what is wrong with who writes them.

    An owner raises the number in its partition's head at least every second, under its epoch. With two owners the
    head would show two epochs, or the one with the lower epoch would have been fenced and ended.
    """
    partitions = world.stream.partitions
    wait_for(lambda: _owned(workers) == partitions, _PATIENCE_S, f"the workers share {partitions} partitions")
    before, ends = _heads(world), [worker.exit_code() for worker in workers]
    wait_for(
        lambda: all(n > before[p][1] for p, (_, n) in _heads(world).items()), _PATIENCE_S, "every owner is at work"
    )
    after = _heads(world)
    found = [
        f"partition {p}: epoch {epoch}, then {after[p][0]}, with nobody joining"
        for p, (epoch, _) in before.items()
        if after[p][0] != epoch
    ]
    if _owned(workers) != partitions:
        found.append(f"the workers own {_owned(workers)} of {partitions} partitions")
    return found + [f"a worker had ended with {code}" for code in ends if code is not None]


def _owned(workers: Sequence[EvaluatorProcess]) -> int:
    return sum(round(metric(worker, "shoal_evaluator_partitions")) for worker in workers)


def _heads(world: World) -> dict[int, tuple[int, int]]:
    """Epoch and number of each partition's last script."""
    heads = {p: world.stream.redis.get(head_key(p)) for p in range(world.stream.partitions)}
    return {p: (int(head.split()[0]), int(head.split()[1])) if head else (-1, -1) for p, head in heads.items()}
