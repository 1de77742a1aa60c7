"""Case 18: the network is cut in one place while the rest goes on: between api and Kafka, or evaluator and Redis.

Without Kafka, ingestion is refused clearly and in time, and a load that keeps sending does not fill the memory; lookups
go on. Without its Redis, the evaluator waits, ingestion goes on, and lookups say what they do not know yet.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.fault.check import Verdict, check
from tests.fault.definitions import DEFINITIONS, Json
from tests.fault.flood import Flood, memory_of
from tests.fault.load import said
from tests.fault.lookups import LookupWatch, with_members
from tests.fault.readiness import await_no_trouble, await_trouble
from tests.fault.reads import FRESH_S
from tests.fault.redis_proxy import redis_proxy
from tests.fault.registry import case
from tests.fault.world import World
from tests.support.evaluators import wait_for

REFUSED_S = 5.0
"""So long an ingestion may take to be refused."""
NOISE_S = 1.0
CUT_S, CUT_IN_BRIEF_S = 36.0, 12.0
MEMORY_MIB = 115
"""What the api may hold more in the cut than before it: 96 were measured, and 129 when it kept what it had refused."""
RATE = 300
LEAD_S, WINDOW_S = 2, 8
VISITED: Json = {
    "logic": "AND",
    "conditions": [
        {"type": "event_count", "event_type": "visited", "operator": "gte", "value": 1, "window_seconds": WINDOW_S}
    ],
}
NEAR_SIGHTED = f"""
from services.evaluator import transition
transition.LEAD_US = {LEAD_S * 1_000_000}
from services.evaluator.__main__ import main
main()
"""
"""An evaluator whose far ends are soft from 2 s on, not from a minute, so that one passes within the cut."""


@case(18, "the network is cut between api and Kafka")
def cut_off_kafka(world: World) -> Verdict:
    world.api = world.new_api(world.servers.behind_proxy)
    world.new_evaluator().await_ready()
    watch = with_members(world, DEFINITIONS)
    world.load()
    world.await_progress(1_000)
    world.servers.kafka_proxy.set_stall()
    flood = Flood(world.api)
    held = memory_of(world.api, CUT_IN_BRIEF_S if world.brief else CUT_S)
    flood.finish()
    world.servers.kafka_proxy.set_pass()
    world.await_recovery()
    await_no_trouble(world.api, "kafka")
    world.await_progress(1_000)
    watch.finish()
    found = [*watch.wrong(), *(f"Kafka is cut off, and a lookup is refused: {one}" for one in watch.refused())]
    found += _wrong_refusals(flood)
    memory = f"the api held {held.first_mib:.0f} MiB before and up to {held.peak_mib:.0f} in the cut"
    found += [f"a load that keeps sending fills it: {memory}"] if held.peak_mib > held.first_mib + MEMORY_MIB else []
    slowest = max(answer.took_s for answer in flood.answers)
    note = f"{len(flood.answers)} batches refused after {slowest:.1f} s at most; {memory}"
    return check(world).besides(*found, note=note)


def _wrong_refusals(flood: Flood) -> Iterator[str]:
    for answer in flood.answers:
        if answer.status != 503 or not answer.retry_after.isdigit():
            yield f"Kafka is cut off, and ingestion says {answer}"
        elif answer.took_s > REFUSED_S + NOISE_S:
            yield f"ingestion was refused after {answer.took_s:.1f} s (limit {REFUSED_S:g} s)"


@case(18, "the network is cut between evaluator and Redis")
def cut_off_redis(world: World) -> Verdict:
    with redis_proxy(world) as (proxy, behind):
        worker = world.new_evaluator(["-c", NEAR_SIGHTED], behind, supervised=True).await_ready()
        watch = with_members(world, [*DEFINITIONS[:4], VISITED])
        visited = max(segment_id for segment_id in world.segments if segment_id != watch.segment_id)
        world.load(RATE)
        world.await_progress(1_000)
        guest = _visit(world, visited)
        proxy.set_stall()
        await_trouble(worker, "redis", "Redis")
        found = [*_wrong_while_cut(world, watch, guest, visited)]
        proxy.set_pass()
        world.await_recovery()
        await_no_trouble(worker, "redis")
        watch.finish()
        found += [f"only the evaluator lacks Redis, and a lookup is refused: {one}" for one in watch.refused()]
        note = f"{len(watch.found)} lookups, the evaluator ended {worker.restarts} times"
        return check(world).besides(*watch.wrong(), *found, note=note)


def _visit(world: World, segment_id: int) -> str:
    """Somebody visits; returns who, when the visit counts and its end, some seconds from now, is not certain."""
    position = _store(world, "guest", "visited")
    with world.api.client() as client:
        query = {"user_id": "guest", "after": position}
        answer = client.get("/api/segments/membership/", params=query).json()
    assert answer["fresh"], answer
    assert segment_id in answer["segment_ids"], answer
    return "guest"


def _store(world: World, user_id: str, event_type: str) -> str:
    """Send one event; its position."""
    tracker = world.tracker()
    answer = tracker.track([tracker.number({"user_id": user_id, "event_type": event_type})])
    tracker.close()
    assert answer.outcome == "acknowledged", answer
    return str(said(answer)["position"])


def _wrong_while_cut(world: World, watch: LookupWatch, guest: str, visited: int) -> Iterator[str]:
    """Past its uncertain end an answer is stale, and one that waits for a new event says that it lacks it."""
    position = _store(world, "newcomer", "joined")  # ingestion goes on
    with world.api.client() as client:

        def look(user_id: str, **more: str) -> dict[str, object]:
            answer = client.get("/api/segments/membership/", params={"user_id": user_id, **more})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        began_s = time.monotonic()
        new = look("newcomer", after=position)
        took_s = time.monotonic() - began_s
        if new["fresh"] or took_s > FRESH_S + NOISE_S:
            yield f"the evaluator writes nothing, and a lookup after a new event says {new} after {took_s:.1f} s"
        old = wait_for(lambda: found if (found := look(guest)).get("stale") else None, WINDOW_S + 5, "a stale answer")
        if visited not in old["segment_ids"]:  # type: ignore[operator] # a list
            yield f"the last known answer does not stand: {old}"
        age = datetime.now(UTC) - datetime.fromisoformat(str(old["as_of"]))
        if abs(age.total_seconds()) > NOISE_S:
            yield f"an answer of another instant: {old}"
