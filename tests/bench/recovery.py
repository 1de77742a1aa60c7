"""Recovery of a million users: from starting the worker to the first right answer of every partition, beside reading
the same bytes, and beside the recovery of a stock Faust Table."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import CHANGELOG, declare
from shared.runtime.kafka import ensure_topics
from tests.bench.measure import spread
from tests.bench.stock_recovery import SIZES, StockRecovery
from tests.support.evaluators import EvaluatorProcess, environment, evaluators, wait_for
from tests.support.stream import TENANT, Stream, is_member
from tests.support.truth import Truth, differences

PARTITIONS = 12
USERS = 1_000_000
ROUNDS = 3
SAMPLE = 1_000
"""Users compared with the oracle at the end; each gets an event after a recovery, so that its state shows."""
TWICE = 1
"""The segment of those who viewed two pages: who viewed one before the recovery enters by one more after it."""


def _count(event_type: str, value: int, **window: int) -> dict[str, Any]:
    return {"type": "event_count", "event_type": event_type, "operator": "gte", "value": value} | window


_SPENT = {"type": "monetary", "event_type": "order_placed", "property": "total", "metric": "sum"}
_CONDITIONS: list[dict[str, Any]] = [
    _count("page_viewed", 2, window_days=30),
    _count("cart_add", 2),
    {"type": "recency", "event_type": "signup", "operator": "lte", "window_days": 30},
    _SPENT | {"operator": "gte", "value": 150},
    _SPENT | {"operator": "gte", "value": 90, "window_days": 90},
]
DEFINITIONS = {n: {"logic": "AND", "conditions": [c]} for n, c in enumerate(_CONDITIONS, start=1)}
_TYPES = ("page_viewed", "cart_add", "signup", "order_placed")


class Recovery:
    """A worker's changelog of so many users, recovered again and again."""

    def __init__(self, stream: Stream, users: int) -> None:
        self.stream, self.users = stream, users
        self._probes = self._viewers()
        self._seen: set[str] = set()

    def fill(self, worker: EvaluatorProcess) -> None:
        """Make the changelog as it comes about: by the evaluator, from events of every user."""
        for number in range(self.users):
            self._event(number, _TYPES[number % 4])
            if number % 5 == 0:
                self._event(number, _TYPES[number // 5 % 4])
        self.stream.await_committed(600)
        assert worker.stop() == 0

    def ranges(self) -> dict[int, tuple[int, int]]:
        """The whole changelog as it is now."""
        return {p: (0, end) for p, end in self.stream.end_offsets(CHANGELOG).items()}

    def recover(self, worker: EvaluatorProcess) -> tuple[float, float]:
        """Seconds from starting the worker to its readiness, and to a right answer of every partition."""
        probes = {p: next(self._probes[p]) for p in range(PARTITIONS)}
        began = time.monotonic()
        worker.start()
        for user_id in probes.values():
            self.stream.send(user_id, "page_viewed")
        self.stream.flush()
        wait_for(lambda: self._answered(worker, probes), 300, "every partition answers")
        answered_s = time.monotonic() - began
        worker.await_ready()
        ready_s = time.monotonic() - began
        self._seen.update(probes.values())
        return ready_s, answered_s

    def differences(self) -> int:
        """How many memberships are not the oracle's: of the probes, and of a sample that gets one more event each."""
        sample = {f"user-{number}" for number in range(0, self.users, self.users // SAMPLE)}
        for number, user_id in enumerate(sorted(sample)):
            self.stream.send(user_id, _TYPES[number % 4], {"total": 60})
        self.stream.await_committed(120)
        of_interest = sample | self._seen
        as_of = self.stream.clock()
        expected = Truth(self.stream, DEFINITIONS, of_interest.__contains__).memberships(as_of)
        found = {segment_id: users & of_interest for segment_id, users in self.stream.memberships(as_of).items()}
        return len(differences(expected, found))

    def _event(self, number: int, event_type: str) -> None:
        self.stream.send(f"user-{number}", event_type, {"total": number % 100, "path": "/pricing"})

    def _viewers(self) -> dict[int, Iterator[str]]:
        """For each partition, users that viewed exactly one page."""
        return {p: self._viewers_of(p) for p in range(PARTITIONS)}

    def _viewers_of(self, partition: int) -> Iterator[str]:
        for number in range(4, self.users, 20):  # 4, 24, ...: by `fill` one page_viewed and nothing else
            user_id = f"user-{number}"
            if partition_of(user_key(TENANT, user_id), PARTITIONS) == partition:
                yield user_id

    def _answered(self, worker: EvaluatorProcess, probes: dict[int, str]) -> bool:
        assert worker.exit_code() is None, f"the evaluator ended; its log ends:\n{worker.last_lines()}"
        now_us = time.time_ns() // 1000
        return all(
            any(r.segment_id == TWICE and is_member(r, now_us) for r in self.stream.lookup(user_id, partition))
            for partition, user_id in probes.items()
        )


def measure(bootstrap_servers: str, redis_url: str, users: int = USERS, rounds: int = ROUNDS) -> dict[str, Any]:
    """All rounds, interleaved: seconds, and their ratios within each round."""
    ensure_topics(bootstrap_servers, declare(PARTITIONS))
    stream, stock = Stream(bootstrap_servers, redis_url, PARTITIONS), StockRecovery(bootstrap_servers, PARTITIONS)
    figures: dict[str, list[float]] = {name: [] for name in ("reading", "read", "ready", "ours", "stock")}
    settings = environment(bootstrap_servers, redis_url, SHOAL_EVALUATOR_COMMIT_INTERVAL_S="3")
    with evaluators(settings | {"SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "10"}) as make:
        worker = make().await_ready()
        stream.activate(DEFINITIONS, 60)
        recovery = Recovery(stream, users)
        recovery.fill(worker)
        for _ in range(rounds):
            reading_s, read_s, messages, size = _read(bootstrap_servers, recovery.ranges())
            ready_s, ours_s = recovery.recover(worker)
            assert worker.stop() == 0
            small_s, large_s = stock.recover()
            stock_s = small_s + (large_s - small_s) * (users - SIZES[0]) / (SIZES[1] - SIZES[0])
            for name, value in zip(figures, (reading_s, read_s, ready_s, ours_s, stock_s), strict=True):
                figures[name].append(value)
        worker.start().await_ready()
        wrong = recovery.differences()
    stream.close()
    return {
        "users": users,
        "messages": messages,
        "bytes": size,
        **figures,
        "of_reading": [o / r for o, r in zip(figures["ours"], figures["reading"], strict=True)],
        "times_stock": [s / o for o, s in zip(figures["ours"], figures["stock"], strict=True)],
        "differences": wrong,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    changelog = f"{figures['messages']:,} records, {figures['bytes'] / 1e6:,.0f} MB"
    lines = [
        f"recovery of {figures['users']:,} users ({changelog}), seconds from the start of the process (median, range)",
        f"  reading the same bytes      {spread(figures['reading'])}  of which reading {spread(figures['read'])}",
        f"  evaluator, first right answer of every partition  {spread(figures['ours'])}",
        f"  evaluator, ready            {spread(figures['ready'])}",
        f"  stock Faust Table, from {SIZES[0]:,} and {SIZES[1]:,} keys  {spread(figures['stock'], 0)}",
        f"  ratio to reading            {spread(figures['of_reading'])}  (goal 2)",
        f"  stock Faust takes so many times as long  {spread(figures['times_stock'], 1)}  (goal 10)",
        f"  differences from the oracle {figures['differences']} ({SAMPLE:,} users)",
    ]
    return "\n".join(lines)


def _read(bootstrap_servers: str, ranges: dict[int, tuple[int, int]]) -> tuple[float, float, int, int]:
    """Seconds of the reading process, and of its reading; messages and bytes."""
    command = [sys.executable, "-m", "tests.bench.reading", bootstrap_servers, json.dumps(ranges)]
    began = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True)
    process_s = time.monotonic() - began
    messages, size, read_s = json.loads(done.stdout)
    return process_s, read_s, messages, size
