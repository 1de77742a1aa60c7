"""Case 19: clocks that jump, drift, or were wrong all along.

T is the brokers' time. A worker whose own clock disagrees must not let time pass by it, nor may T ever go back; an api
host whose clock is wrong answers as the others do. (Instants are UTC throughout: no clock change and no leap day exists
for them.)
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from shared.contracts import redis_keys
from tests.fault.check import Verdict, check
from tests.fault.readiness import await_no_trouble, await_trouble
from tests.fault.registry import case_of
from tests.fault.shifted_clock import ShiftedClock
from tests.fault.world import World
from tests.support.evaluators import metric, wait_for

JUMP_S = 7200.0
DRIFT = 0.2
DRIFT_S = 15
WATCHED_S = 8
TOLERATED_US = 2_000_000
"""T of a partition and this machine's clock, which is the broker's too."""


@case_of(19, "a worker's clock", ["jumps 2 h ahead", "jumps 2 h back", "is 2 h ahead from the start", "drifts"])
def wrong_clock_of_a_worker(world: World, variant: str) -> Verdict:
    with _shifted() as clock:
        if "start" in variant:
            clock.set(JUMP_S)
        worker = world.new_evaluator(entry=clock.entry("evaluator"), environ=clock.environ)
        if "start" in variant:
            await_trouble(worker, "clock", "7200 s ahead of", 60)
            found = [*_watch(world, ahead_s=0)]
            clock.set(0)
            await_no_trouble(worker, "clock")
            world.activate()
            world.load()
            world.await_progress(3_000)
        else:
            worker.await_ready()
            world.activate()
            world.load()
            world.await_progress(3_000)
            found = [*_fault(world, clock, variant)]
            clock.set(0)
            await_no_trouble(worker, "clock")
        world.await_recovery()
        skew = metric(worker, "shoal_evaluator_clock_skew_seconds")
        return check(world).besides(*found, note=f"skew shown at the end {skew:.1f} s")


def _fault(world: World, clock: ShiftedClock, variant: str) -> Iterator[str]:
    worker = world.processes[-2] if world.processes[-1].name == "api" else world.processes[-1]
    if variant == "drifts":
        clock.set(0, DRIFT)
        yield from _watch(world, ahead_s=DRIFT * DRIFT_S, for_s=DRIFT_S)
        if (skew := metric(worker, "shoal_evaluator_clock_skew_seconds")) < 1:
            yield f"a drift of {DRIFT * DRIFT_S} s shows as a skew of {skew} s"
        return
    ahead = "ahead" in variant
    clock.set(JUMP_S if ahead else -JUMP_S)
    await_trouble(worker, "clock", "7200 s ahead of" if ahead else "7200 s behind")
    yield from _watch(world, ahead_s=0)


@case_of(19, "the clock of an api host", ["2 h ahead", "2 h behind"])
def wrong_clock_of_an_api(world: World, variant: str) -> Verdict:
    with _shifted() as clock:
        clock.set(JUMP_S if "ahead" in variant else -JUMP_S)
        world.api = world.new_api(clock.environ, clock.entry("api"))
        world.new_evaluator().await_ready()
        world.activate()
        world.load()
        world.await_progress(5_000)
        tracker = world.tracker()
        now = datetime.now(UTC).isoformat()
        answer = tracker.track([tracker.number({"user_id": "now", "event_type": "signup", "occurred_at": now})])
        tracker.close()
        found = [] if answer.status == 202 else [f"an event of this instant: {answer.status} {answer.body!r}"]
        world.await_recovery()
        return check(world).besides(*found)


@contextlib.contextmanager
def _shifted() -> Iterator[ShiftedClock]:
    clock = ShiftedClock()
    try:
        yield clock
    finally:
        clock.set(0)


def _watch(world: World, ahead_s: float, for_s: float = WATCHED_S) -> Iterator[str]:
    """Look at T of every partition for a while: never back, never further ahead of the brokers than tolerated."""
    last: dict[int, int] = {}
    until_s = time.monotonic() + for_s
    found: list[str] = []

    def look() -> bool:
        now_us = time.time_ns() // 1000
        for partition in range(world.stream.partitions):
            clock = int(world.stream.redis.get(redis_keys.clock_key(partition)) or 0)
            if clock < last.get(partition, 0):
                found.append(f"T of partition {partition} went back from {last[partition]} to {clock}")
            if clock > now_us + ahead_s * 1e6 + TOLERATED_US:
                found.append(f"T of partition {partition} is {(clock - now_us) / 1e6:.1f} s ahead")
            last[partition] = clock
        return bool(found) or time.monotonic() > until_s

    wait_for(look, for_s + 30, "watching T")
    yield from found
