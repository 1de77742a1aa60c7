"""Case 30: users are asked about all the time while their owner is replaced and does not know it.

It was stopped and goes on, or it has lost Kafka and hears questions all the while.
"""

import signal
import threading
import time
from collections import defaultdict
from typing import Any, NamedTuple

from shared.contracts.keys import partition_of, user_key
from shared.domain.times import parse_time
from tests.fault.check import Verdict, check
from tests.fault.claims import PATIENCE_S, STOPPED_S, Ownership, stop_until_replaced
from tests.fault.registry import case_of
from tests.fault.world import RATE, World
from tests.support.evaluators import wait_for
from tests.support.stream import TENANT

STOPS, LOSES_KAFKA = "is stopped, replaced, and goes on", "loses Kafka and is replaced"
ROUNDS, ROUNDS_IN_BRIEF = 2, 1
LIMIT_S = 2.8
"""An owner may take two seconds, and Redis what is left."""
NOISE_S = 1.0
"""What a busy machine may add."""
THREADS = 8
BEGINS_US = 4_000_000
"""So far back the clock of a successor may begin: it knows what was flushed."""
LONGER_S = 4
"""So long a replaced owner hears questions beside its successor."""
_USERS = [f"user-{number}" for number in range(40)]


class Asked(NamedTuple):
    """One explanation asked for."""

    user_id: str
    began_s: float
    ended_s: float
    status: int
    body: dict[str, Any]
    retry_after: str | None

    @property
    def took_s(self) -> float:
        """How long the answer took."""
        return self.ended_s - self.began_s


class Asking:
    """Asks why users are in a segment, in some threads of its own until `finish`."""

    def __init__(self, world: World, segment_id: int) -> None:
        self.found: list[Asked] = []
        self._world = world
        self._path = f"/segments/{segment_id}/explain/?verbose=1"
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Ask no more."""
        self._enough.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def await_answers(self) -> None:
        """Wait until every user asked about is answered for."""
        known = len(self.found)

        def all_answered() -> bool:
            last = self.found[known:]
            return {asked.user_id for asked in last if asked.status == 200} == set(_USERS)

        wait_for(all_answered, 60, "questions about all users are answered")

    def _run(self, number: int) -> None:
        with self._world.api.client() as client:
            while not self._enough.is_set():
                for user_id in _USERS[number::THREADS]:
                    began_s = time.monotonic()
                    answer = client.get(f"/api/explorer/users/{user_id}{self._path}")
                    ended_s, retry_after = time.monotonic(), answer.headers.get("Retry-After")
                    self.found.append(Asked(user_id, began_s, ended_s, answer.status_code, answer.json(), retry_after))


@case_of(30, "users are asked about, and their owner", [STOPS, LOSES_KAFKA])
def questions(world: World, variant: str) -> Verdict:
    behind = world.servers.behind_proxy if variant == LOSES_KAFKA else {}
    workers = [world.new_evaluator(environ=each, supervised=True) for each in (behind, {})]
    for worker in workers:
        worker.await_ready()
    world.activate()
    world.load()
    asking = Asking(world, max(world.segments))
    for _ in range(ROUNDS_IN_BRIEF if world.brief else ROUNDS):
        asking.await_answers()
        world.await_progress(RATE)
        if variant == STOPS:
            stop_until_replaced(world, workers[0])
            workers[0].send(signal.SIGCONT)
        else:
            _lose_kafka_until_replaced(world, workers[0].pid)
            world.pass_time(LONGER_S)
            asking.await_answers()
            world.servers.kafka_proxy.set_pass()
        world.await_recovery()
    asking.await_answers()
    asking.finish()
    faults = [fault for asked in asking.found if (fault := _wrong(asked))]
    refused = sum(asked.status == 503 for asked in asking.found)
    note = f"{len(asking.found)} questions, {refused} refused"
    return check(world, exactly=True).besides(*faults, *_back_in_time(world, asking.found), note=note)


def _lose_kafka_until_replaced(world: World, pid: int) -> None:
    """What the worker hears of Kafka vanishes; it still reaches Redis, and does not know that it was replaced."""
    began_s = time.monotonic()
    world.servers.kafka_proxy.set_stall()
    wait_for(
        lambda: time.monotonic() > began_s + STOPPED_S and pid not in Ownership(world.stream).owners.values(),
        PATIENCE_S,
        "another worker owns everything",
    )


def _wrong(asked: Asked) -> str | None:
    text = f"question about {asked.user_id}: {asked.status} {asked.body} after {asked.took_s:.2f} s"
    if asked.took_s > LIMIT_S + NOISE_S:
        return f"{text} (limit {LIMIT_S:g} s)"
    if asked.status == 200 or (asked.status == 503 and (asked.retry_after or "").isdigit()):
        return None
    return f"{text}, Retry-After {asked.retry_after}: not a documented answer"


def _back_in_time(world: World, found: list[Asked]) -> list[str]:
    """The clock of a replaced owner stands where it was, while those of the others go on."""
    faults: list[str] = []
    answered: dict[int, list[tuple[float, int]]] = defaultdict(list)
    """Partition -> when an answer was there, and of when it was."""
    for asked in sorted((asked for asked in found if asked.status == 200), key=lambda asked: asked.ended_s):
        partition = partition_of(user_key(TENANT, asked.user_id), world.stream.partitions)
        as_of = parse_time(asked.body["as_of"]) or 0
        before = max((each for ended_s, each in answered[partition] if ended_s <= asked.began_s), default=0)
        if as_of < before - BEGINS_US:
            faults.append(f"partition {partition}: {before - as_of} us before what was answered before it was asked")
        answered[partition].append((asked.ended_s, as_of))
    return faults
