"""What an event costs the evaluator at 10, 100, 300 and 1,000 segments over the same aggregates.

One evaluator serves a tenant of each size; their events are the same but for the tenant, and are measured in turn.
"""

import random
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import MEMBERSHIP_CHANGES, declare
from shared.domain.compiled_segment import Activation
from shared.domain.definition import parse_definition
from shared.domain.plan import compile_plan
from shared.runtime.kafka import ensure_topics
from tests.bench.measure import cpu_s, spread
from tests.bench.segment_definitions import definitions
from tests.support.evaluators import EvaluatorProcess, environment, evaluators
from tests.support.stream import Stream
from tests.support.truth import Truth, differences

PARTITIONS = 12
SIZES = (10, 100, 300, 1_000)
USERS = 10_000
"""Of each tenant."""
FIRST_EVENTS = 15
"""Of every user before the rounds, over the last DAYS days."""
DAYS = 40
EVENTS = 100_000
"""Of each tenant in a round."""
ROUNDS = 5
SAMPLE = 50
"""Users of each tenant compared with the oracle at the end."""
GOAL = 1.25
_PATIENCE_S = 1_200

_TYPES = ("page_viewed", "cart_add", "order_placed", "context_identified")

Event = dict[str, Any]
"""The arguments of `Stream.send`."""


class Round(NamedTuple):
    """What some events of one tenant led to: CPU in microseconds an event; turns and values for 1,000 events."""

    cpu_us: float
    turns: float
    values: float


class Tenant:
    """One tenant with so many segments."""

    def __init__(self, stream: Stream, worker: EvaluatorProcess, size: int, number: int) -> None:
        self._stream, self._worker = stream.of(number), worker
        # ids of segments are never used twice
        self.definitions = dict(enumerate(definitions(size), number * 10_000))
        self._stream.activate(self.definitions, _PATIENCE_S)

    def measured(self, events: Iterator[Event]) -> Round:
        """Send the events while the worker rests, and let it work until all is committed."""
        count = 0
        self._worker.send(signal.SIGSTOP)
        for count, event in enumerate(events, 1):  # noqa: B007 - it is used after the loop
            self._stream.send(**event | {"user_id": self._user(event["user_id"])})
        self._stream.flush()
        before = self._counters()
        self._worker.send(signal.SIGCONT)
        self._stream.await_committed(_PATIENCE_S)
        cpu, turns, values = (now - then for now, then in zip(self._counters(), before, strict=True))
        return Round(1e6 * cpu / count, 1_000 * turns / count, 1_000 * values / count)

    def differences(self) -> int:
        """How many memberships of a sample of users are not the oracle's."""
        sample, as_of = set(self._sample()), self._stream.clock()
        expected = Truth(self._stream, self.definitions, sample.__contains__).memberships(as_of)
        found = {segment_id: users & sample for segment_id, users in self._stream.memberships(as_of).items()}
        return len(differences(expected, found))

    def records(self) -> float:
        """How many segments Redis has for a user, on average."""
        return sum(len(self._records(user_id)) for user_id in self._sample()) / SAMPLE

    def _records(self, user_id: str) -> list[Any]:
        place = partition_of(user_key(self._stream.tenant, user_id), PARTITIONS)
        return list(self._stream.lookup(user_id, place))

    def _sample(self) -> list[str]:
        return [self._user(number) for number in range(0, USERS, USERS // SAMPLE)]

    def _user(self, number: int) -> str:
        return f"{self._stream.tenant}-{number}"

    def _counters(self) -> tuple[float, int, int]:
        """So far: CPU seconds, membership changes, values of users written to Redis."""
        turns = sum(self._stream.end_offsets(MEMBERSHIP_CHANGES).values())
        calls = {name: stats["calls"] for name, stats in self._stream.redis.info("commandstats").items()}
        # a publication reads head, clock and applied offset, and each value that it replaces
        values = calls.get("cmdstat_get", 0) - 3 * calls.get("cmdstat_evalsha", 0)
        return cpu_s(self._worker.pid), turns, values


def measure(
    bootstrap_servers: str, redis_url: str, rounds: int = ROUNDS, events: int = EVENTS, sizes: Sequence[int] = SIZES
) -> dict[str, Any]:
    """All rounds, each with all sizes in turn."""
    ensure_topics(bootstrap_servers, declare(PARTITIONS))
    aggregates = _same_aggregates(sizes)
    stream = Stream(bootstrap_servers, redis_url, PARTITIONS)
    settings = environment(bootstrap_servers, redis_url, SHOAL_EVALUATOR_COMMIT_INTERVAL_S="3")
    figures: dict[int, dict[str, Any]] = {size: {name: [] for name in Round._fields} for size in sizes}
    with evaluators(settings | {"SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "120"}) as make:
        worker = make().await_ready()
        tenants = {size: Tenant(stream, worker, size, number) for number, size in enumerate(sizes, 1)}
        for size, tenant in tenants.items():
            figures[size]["first"] = tenant.measured(_history())._asdict()
        for number in range(rounds):
            for size, tenant in tenants.items():
                for name, value in tenant.measured(_live(events, number))._asdict().items():
                    figures[size][name].append(value)
        for size, tenant in tenants.items():
            figures[size] |= {"records": tenant.records(), "differences": tenant.differences()}
    stream.close()
    return {
        "events": events,
        "aggregates": aggregates,
        "sizes": figures,
        "ratios": {size: _ratios(figures[size], figures[sizes[0]]) for size in sizes[1:]},
    }


def table(found: dict[str, Any]) -> str:
    """The figures for a person."""
    sizes = found["sizes"]
    lines = [
        f"evaluator, segments over the same {found['aggregates']} aggregates, {USERS:,} users of each size,",
        f"rounds of {found['events']:,} events of each in turn (median, range)",
        "  segments  events per CPU-second       turns / 1,000 events   values / 1,000 events  records a user",
    ]
    for size, figures in sizes.items():
        rates = spread([1e6 / cpu_us for cpu_us in figures["cpu_us"]], 0)
        turns, values = spread(figures["turns"], 1), spread(figures["values"], 1)
        lines.append(f"  {size:>8,}  {rates:<26}  {turns:<21}  {values:<21}  {figures['records']:>14.1f}")
    least = min(sizes)
    lines += [f"  CPU an event, {size:,} : {least:,}  {spread(ratios)}" for size, ratios in found["ratios"].items()]
    wrong = sum(figures["differences"] for figures in sizes.values())
    lines[-1] += f"  (goal {GOAL})"
    lines.append(f"  differences from the oracle {wrong} ({SAMPLE * len(sizes):,} users)")
    return "\n".join(lines)


def _ratios(these: dict[str, Any], those: dict[str, Any]) -> list[float]:
    return [this / that for this, that in zip(these["cpu_us"], those["cpu_us"], strict=True)]


def _same_aggregates(sizes: Sequence[int]) -> int:
    """How many aggregates the definitions of every size have; asserts that these and their windows are the same."""

    def slots(size: int) -> dict[str, tuple[int, ...]]:
        parsed = (parse_definition(definition) for definition in definitions(size))
        plan = compile_plan(Activation(number, 1, definition, 0, True) for number, definition in enumerate(parsed, 1))
        # the windows of a recency are thresholds: they change nothing that is kept
        return {key: slot.windows if slot.aggregate.kind != "newest" else () for key, slot in plan.slots.items()}

    first, *others = map(slots, sizes)
    assert all(other == first for other in others), "every size touches the same aggregates"
    return len(first)


def _history() -> Iterator[Event]:
    """The same events of every user, spread over the last days."""
    randomness, count, now_s = random.Random(0), USERS * FIRST_EVENTS, time.time()
    for number in range(count):
        ago_s = DAYS * 86_400 * (1 - number / count)
        event = _event(randomness, number % USERS) | {"occurred_at": _time(now_s - ago_s)}
        # all that everybody passes is passed from here on
        yield event | {"event_type": _TYPES[number // USERS]} if number < 4 * USERS else event


def _live(count: int, seed: int) -> Iterator[Event]:
    """Events of users drawn evenly; 1 % late by up to an hour, 1 % sent twice."""
    randomness = random.Random(1 + seed)
    for number in range(count):
        event = _event(randomness, randomness.randrange(USERS))
        if number % 100 == 0:
            event["occurred_at"] = _time(time.time() - 3_600 * randomness.random())
        if number % 100 == 1:
            event["event_id"] = f"{seed}-{number}"
            yield event
        yield event


def _event(randomness: random.Random, user: int) -> Event:
    (event_type,) = randomness.choices(_TYPES, (50, 25, 20, 5))
    payload: dict[str, Any] = {"total": round(100 * randomness.random(), 2)}
    payload["path"] = randomness.choice(("/", "/pricing", "/docs"))
    payload["plan"] = "pro" if randomness.random() < 0.005 else "free"
    payload["tier"] = "gold" if randomness.random() < 0.02 else "silver"
    return {"user_id": user, "event_type": event_type, "payload": payload}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
