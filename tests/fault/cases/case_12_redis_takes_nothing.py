"""Case 12: Redis answers nothing, has no memory left, or is a replica: the evaluator waits, and says so.

Nothing is skipped and nothing becomes a dead letter; what was sent meanwhile waits in the log.
"""

import contextlib
from collections.abc import Iterator

from shared.contracts.topics import DEAD_LETTERS, SIDE_PARTITIONS
from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS
from tests.fault.lookups import with_members
from tests.fault.readiness import await_no_trouble, await_trouble
from tests.fault.registry import case_of
from tests.fault.world import World
from tests.support.evaluators import wait_for

PAUSED_S, PAUSED_IN_BRIEF_S = 60.0, 10.0
"""The long one with the first seed only; others and brief runs take the short one."""
NOTICED_S = 15
UNREAD = 500
"""So many events must have been left waiting."""

PAUSED, FULL, REPLICA = "it is stopped for a while", "its memory is full", "it is a replica that refuses writes"


@case_of(12, "Redis takes nothing", [PAUSED, FULL, REPLICA])
def redis_takes_nothing(world: World, variant: str) -> Verdict:
    worker = world.new_evaluator().await_ready()
    watch = with_members(world, DEFINITIONS)
    world.load()
    world.await_progress(1_000)
    world.at_random(1)
    found = []
    with _FAULTS[variant](world):
        said = await_trouble(worker, "redis", "Redis", NOTICED_S)
        unread = _await_lag(world)
        if variant == PAUSED:
            long = world.seed == 1 and not world.brief
            world.pass_time(PAUSED_S if long else PAUSED_IN_BRIEF_S)
            answered = [lookup for lookup in watch.found[-5:] if lookup.status != 503]
            found += [f"Redis is stopped, and a lookup says {lookup}" for lookup in answered]
    world.await_recovery()
    await_no_trouble(worker, "redis")
    watch.finish()
    dead = sum(1 for _ in world.stream.read(DEAD_LETTERS, SIDE_PARTITIONS))
    found += [f"{dead} dead letters"] if dead else []
    note = f"{said!r}, {unread} events waited, {len(watch.refused())} of {len(watch.found)} lookups refused"
    return check(world).besides(*watch.wrong(), *found, note=note)


def _await_lag(world: World) -> int:
    """Wait until many events wait in the log; how many."""

    def unread() -> int | None:
        lag = sum(world.stream.end_offsets().values()) - sum(world.stream.committed().values())
        return lag if lag >= UNREAD else None

    return wait_for(unread, 30, f"{UNREAD} events wait")


@contextlib.contextmanager
def _paused(world: World) -> Iterator[None]:
    world.servers.valkey.pause()
    yield
    world.servers.valkey.resume()


@contextlib.contextmanager
def _full(world: World) -> Iterator[None]:
    world.stream.redis.config_set("maxmemory", 1)
    try:
        yield
    finally:  # the server is the next case's too
        world.stream.redis.config_set("maxmemory", 0)


@contextlib.contextmanager
def _replica(world: World) -> Iterator[None]:
    world.stream.redis.replicaof("127.0.0.1", 1)  # nobody is there
    try:
        yield
    finally:
        world.stream.redis.replicaof("NO", "ONE")


_FAULTS = {PAUSED: _paused, FULL: _full, REPLICA: _replica}
