"""Case 22: one user with very many events and properties: the state stays bounded, and the others hardly notice."""

import json
import time
from collections.abc import Iterator

from confluent_kafka import Producer

from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import CHANGELOG, CHANGELOG_MAX_BYTES, EVENTS
from shared.runtime.kafka import producer_config
from tests.bench.measure import percentile
from tests.fault.check import Verdict, check
from tests.fault.registry import case
from tests.fault.world import World
from tests.support.evaluators import metric, wait_for
from tests.support.stream import TENANT

HOT_EVENTS, HOT_EVENTS_IN_BRIEF = 1_000_000, 60_000
"""Every list is at its bound after some 20,000."""
FLOOD_S = 900
PROPERTIES = 10_000
LONG_ID = "x" * 120
RATE = 2_000
PROBES = 150
PROBE_EVERY_S = 0.05
TIMES_SLOWER = 2.0
UNNOTICED_S = 0.1
"""Latencies below this are right whatever their ratio: the machine is shared with all servers and the load."""


@case(22, "one hot user among others")
def hot_user(world: World) -> Verdict:
    worker = world.new_evaluator().await_ready()
    world.activate()
    hot = HOT_EVENTS_IN_BRIEF if world.brief else HOT_EVENTS
    _flood(world, hot)
    began_s = time.monotonic()
    world.stream.await_committed(FLOOD_S)
    flood_s = time.monotonic() - began_s
    spread = _latencies(world, hot_share=0.0)
    heated = _latencies(world, hot_share=0.9)
    world.await_recovery()
    largest = max(len(m.value() or b"") for m in world.stream.read(CHANGELOG, world.stream.partitions))
    p99, before = percentile(heated, 0.99), percentile(spread, 0.99)
    found = []
    if largest > CHANGELOG_MAX_BYTES:
        found.append(f"a state of {largest} bytes")
    if p99 > max(UNNOTICED_S, TIMES_SLOWER * before):
        found.append(f"p99 of the others {1000 * p99:.0f} ms beside {1000 * before:.0f} ms without the hot user")
    forgotten = metric(worker, "shoal_evaluator_forgotten_event_ids_total")
    note = (
        f"{hot:,} events of one user in {flood_s:.0f} s, largest state {largest / 1024:.0f} KiB, "
        f"{forgotten:.0f} ids forgotten, p99 of the others {1000 * before:.0f} -> {1000 * p99:.0f} ms"
    )
    return check(world).besides(*found, note=note)


def _flood(world: World, events: int) -> None:
    """Events of one user straight into Kafka, each with a long id of its own and a property of its own."""
    producer = Producer(producer_config(world.stream.bootstrap, 1 << 20) | {"log_level": 0})
    for value in _hot_events(world, events):
        while True:
            try:
                producer.produce(EVENTS, value, user_key(TENANT, "hot"))
            except BufferError:
                producer.poll(0.1)
            else:
                producer.poll(0)
                break
    assert producer.flush(60) == 0


def _hot_events(world: World, events: int) -> Iterator[bytes]:
    kinds = ("page_viewed", "order_placed", "cart_add", "signup")
    for number in range(events):
        payload = {f"property-{number % PROPERTIES}": number, "basket": {"total": number % 90}}
        event = {"tenant": TENANT, "user_id": "hot", "event_type": kinds[number % 4], "payload": payload}
        yield json.dumps(event | {"event_id": f"{LONG_ID}{world.seed}-{number}"}).encode()


def _latencies(world: World, hot_share: float) -> list[float]:
    """Seconds from an event of a new user to its value in Redis, at the same rate of events whoever's they are."""
    others = (1 - hot_share) * RATE
    load = world.load(rate=max(others, 100), users=500)
    segment = next(s for s, d in world.segments.items() if "signup" in json.dumps(d) and '"gt"' in json.dumps(d))
    found = []
    for number in range(PROBES):
        if hot_share:
            _flood(world, round(hot_share * RATE * PROBE_EVERY_S))
        found.append(_probe(world, f"probe-{hot_share}-{number}", segment))
        time.sleep(PROBE_EVERY_S)  # the rate of the probes
    load.finish()
    return found


def _probe(world: World, user_id: str, segment: int) -> float:
    """Two signups: the user enters the segment of those with more than one."""
    place = partition_of(user_key(TENANT, user_id), world.stream.partitions)
    began_s = time.monotonic()
    for _ in range(2):
        world.stream.send(user_id, "signup")
    world.stream.flush()
    wait_for(
        lambda: any(r.segment_id == segment for r in world.stream.lookup(user_id, place)), 60, f"{user_id} is seen"
    )
    return time.monotonic() - began_s
