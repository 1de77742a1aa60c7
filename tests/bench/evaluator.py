"""Events per CPU-second of the evaluator, beside a loop that only consumes and decodes, and a stock Faust agent."""

import json
import signal
import subprocess
import sys
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics
from tests.bench.measure import cpu_s, spread
from tests.bench.stock_faust import APP_ID, TOPIC, changelog_of
from tests.support.evaluators import EvaluatorProcess, environment, evaluators, wait_for
from tests.support.stream import Stream
from tests.support.truth import Truth, differences

PARTITIONS = 12
USERS = 50_000
WARM_UP = 2_000_000
EVENTS = 300_000
STOCK_EVENTS = 20_000
ROUNDS = 5
SAMPLE = 1_000
"""Users compared with the oracle at the end."""


def _count(event_type: str, value: int, **window: int) -> dict[str, Any]:
    return {"type": "event_count", "event_type": event_type, "operator": "gte", "value": value} | window


def _recency(event_type: str, days: int) -> dict[str, Any]:
    return {"type": "recency", "event_type": event_type, "operator": "lte", "window_days": days}


def _spent(value: int) -> dict[str, Any]:
    shared = {"type": "monetary", "event_type": "order_placed", "property": "total", "metric": "sum"}
    return shared | {"operator": "gte", "value": value}


CONDITIONS = [
    _count("page_viewed", 3, window_days=7),
    _count("page_viewed", 5, window_days=30),
    _count("page_viewed", 10, window_days=1),
    _count("order_placed", 2, window_days=30),
    _count("order_placed", 5, window_days=90),
    _count("cart_add", 3, window_days=7),
    _count("cart_add", 10, window_days=30),
    _count("signup", 2, window_days=365),
    *(_recency(event_type, days) for event_type, days in (("page_viewed", 1), ("order_placed", 30))),
    *(_recency(event_type, days) for event_type, days in (("cart_add", 7), ("signup", 14))),
    *map(_spent, (50, 200, 500, 1000)),
    *(_count(event_type, 8) for event_type in ("page_viewed", "order_placed", "cart_add", "signup")),
]
DEFINITIONS = {n: {"logic": "AND", "conditions": [c]} for n, c in enumerate(CONDITIONS, start=1)}


def measure(bootstrap_servers: str, redis_url: str, rounds: int = ROUNDS) -> dict[str, Any]:
    """All rounds: figures in events per CPU-second, and their ratios within each round."""
    ensure_topics(bootstrap_servers, declare(PARTITIONS))
    _stock_topics(bootstrap_servers)
    stream = Stream(bootstrap_servers, redis_url, PARTITIONS)
    settings = environment(bootstrap_servers, redis_url, SHOAL_EVALUATOR_COMMIT_INTERVAL_S="3")
    with evaluators(settings | {"SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "60"}) as make:
        worker = make().await_ready()
        stream.activate(DEFINITIONS, 60)
        cold = _ours(stream, worker, WARM_UP, 1)
        figures: dict[str, list[float]] = {"ours": [], "ceiling": [], "stock": []}
        for number in range(rounds):
            starts = stream.end_offsets()
            figures["ours"].append(_ours(stream, worker, EVENTS, number + 2))
            ends = stream.end_offsets()
            figures["ceiling"].append(_ceiling(bootstrap_servers, {p: (starts[p], ends[p]) for p in starts}))
            figures["stock"].append(_stock(bootstrap_servers, number))
        wrong = _differences(stream)
    stream.close()
    return {
        "cold": cold,
        **figures,
        "of_ceiling": [o / c for o, c in zip(figures["ours"], figures["ceiling"], strict=True)],
        "times_stock": [o / s for o, s in zip(figures["ours"], figures["stock"], strict=True)],
        "differences": wrong,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"evaluator, {len(CONDITIONS)} conditions, {USERS:,} users, events per CPU-second (median, range)",
        f"  consume + decode            {spread(figures['ceiling'], 0)}",
        f"  evaluator, steady           {spread(figures['ours'], 0)}",
        f"  evaluator, first {WARM_UP:,}    {figures['cold']:.0f}",
        f"  stock Faust agent           {spread(figures['stock'], 0)}",
        f"  ratio to consume + decode   {spread(figures['of_ceiling'])}  (goal 0.3)",
        f"  ratio to stock Faust        {spread(figures['times_stock'], 1)}  (goal 10)",
        f"  differences from the oracle {figures['differences']} ({SAMPLE:,} users)",
    ]
    return "\n".join(lines)


def _ours(stream: Stream, worker: EvaluatorProcess, events: int, seed: int) -> float:
    """Events per CPU-second, the events lying ready before the worker reads them."""
    worker.send(signal.SIGSTOP)
    stream.send_many(events, USERS, seed)
    before = cpu_s(worker.pid)
    worker.send(signal.SIGCONT)
    stream.await_committed(300)
    return events / (cpu_s(worker.pid) - before)


def _ceiling(bootstrap_servers: str, ranges: dict[int, tuple[int, int]]) -> float:
    command = [sys.executable, "-m", "tests.bench.ceiling", bootstrap_servers, json.dumps(ranges)]
    events, used_s = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return float(events / used_s)


def _stock_topics(bootstrap_servers: str) -> None:
    template = declare(PARTITIONS)[0]
    names = (TOPIC, changelog_of(APP_ID))
    ensure_topics(bootstrap_servers, [type(template)(name, PARTITIONS, {}) for name in names])


def _stock(bootstrap_servers: str, seed: int) -> float:
    """Events per CPU-second of the stock agent, from its first commit to its last."""
    feeder = Stream(bootstrap_servers, "redis://127.0.0.1:1/0", PARTITIONS, events_topic=TOPIC)
    command = [sys.executable, "-m", "tests.bench.stock_faust", bootstrap_servers, str(PARTITIONS)]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    group = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": APP_ID, "log_level": 0})
    asked = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]

    def committed() -> int:
        return sum(max(0, tp.offset) for tp in group.committed(asked, timeout=10))

    try:
        already = committed()
        feeder.send_many(100, USERS, 1_000 + seed)
        wait_for(lambda: committed() > already, 120, "the stock agent works")
        before, done = cpu_s(worker.pid), committed()
        feeder.send_many(STOCK_EVENTS, USERS, seed)
        wait_for(lambda: committed() >= done + STOCK_EVENTS, 300, "the stock agent is done")
        return STOCK_EVENTS / (cpu_s(worker.pid) - before)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        group.close()
        feeder.close()


def _differences(stream: Stream) -> int:
    """How many memberships of a sample of users are not the oracle's."""
    sample = {f"user-{n}" for n in range(0, USERS, USERS // SAMPLE)}
    as_of = min(int(stream.redis.get(b"{%d}:clock" % p)) for p in range(PARTITIONS))
    expected = Truth(stream, DEFINITIONS, sample.__contains__).memberships(as_of)
    found = {segment_id: users & sample for segment_id, users in stream.memberships(as_of).items()}
    return len(differences(expected, found))
