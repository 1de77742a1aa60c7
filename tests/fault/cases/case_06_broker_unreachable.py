"""Case 6: Kafka cannot be reached for longer than producers wait: refused clearly, and resumed without a hand.

Bytes vanish, or connections are refused; api and evaluator are behind the proxy, the test looks past it. The api's
producer waits 3 s, the evaluator's a reduced time, after which it ends and is started again; or its own 120 s.
"""

import time

from tests.fault.check import Verdict, check
from tests.fault.load import Answer, said
from tests.fault.readiness import await_no_trouble
from tests.fault.registry import case_of
from tests.fault.world import World
from tests.support.evaluators import ServiceProcess, wait_for

PRODUCER_S = 4
"""What a producer of the evaluator waits for its messages; 120 s otherwise."""
OUTAGE_S = 15.0
REFUSED_S = 5.0
"""So long an ingestion may take to be refused."""
NOT_READY_S = 10
NOISE_S = 1.0
IMPATIENT = f"""
from functools import partial
from services.evaluator import app
app.new_producer = partial(app.new_producer, delivery_timeout_ms={PRODUCER_S * 1000})
from services.evaluator.__main__ import main
main()
"""
SILENT, REFUSED, PATIENT = "bytes vanish", "connections are refused", "bytes vanish, the evaluator waits"


@case_of(6, "Kafka is out of reach for longer than producers wait", [SILENT, REFUSED, PATIENT])
def make_kafka_unreachable(world: World, variant: str) -> Verdict:
    proxied = world.servers.behind_proxy
    world.api = world.new_api(proxied)
    entry = None if variant == PATIENT else ["-c", IMPATIENT]
    worker = world.new_evaluator(entry, proxied, supervised=True).await_ready()
    world.activate()
    world.load()
    world.await_progress(1_000)
    world.at_random(1)
    proxy = world.servers.kafka_proxy
    began_s = time.monotonic()
    (proxy.set_reset if variant == REFUSED else proxy.set_stall)()
    slowest, found = _send_in_vain(world)
    for process in (world.api, worker):
        _await_not_ready(process)
    found += _committed_ahead(world)
    world.pass_time(max(0.0, began_s + OUTAGE_S - time.monotonic()))
    proxy.set_pass()
    world.await_recovery()
    for process in (world.api, worker):
        await_no_trouble(process, "kafka")
    note = f"refused after {slowest:.1f} s at most, the evaluator ended {worker.restarts} times"
    return check(world).besides(*found, note=note)


def _await_not_ready(process: ServiceProcess) -> None:
    wait_for(lambda: process.readiness().get("kafka") != "ok", NOT_READY_S, f"{process.name} says that it lacks Kafka")


def _send_in_vain(world: World) -> tuple[float, list[str]]:
    """A few calls while Kafka is out of reach: the slowest, and what was wrong with the answers."""
    tracker, slowest, found = world.tracker(), 0.0, []
    for number in range(4):
        event = tracker.number({"user_id": f"user-{number}", "event_type": "page_viewed"})
        began_s = time.monotonic()
        answer = tracker.track([event])
        took_s = time.monotonic() - began_s
        slowest = max(slowest, took_s)
        if number and not _is_clear_refusal(answer):  # the first may just have passed
            found.append(f"Kafka is out of reach, and ingestion says {answer}")
        if took_s > REFUSED_S + NOISE_S:
            found.append(f"ingestion was refused after {took_s:.1f} s (limit {REFUSED_S:g} s)")
    tracker.close()
    return slowest, found


def _is_clear_refusal(answer: Answer) -> bool:
    return answer.status == 503 and (answer.retry_after or "").isdigit() and isinstance(said(answer).get("detail"), str)


def _committed_ahead(world: World) -> list[str]:
    """No offset is committed whose events are not in the changelog."""
    _, records = world.stream.states()
    return [
        f"Kafka is out of reach, and partition {partition} is committed through {offset}, flushed through "
        f"{records[partition].flushed_through} only"
        for partition, offset in world.stream.committed().items()
        if offset > records[partition].flushed_through
    ]
