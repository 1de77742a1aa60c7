"""Partials from the history, in Python, beside one GROUP BY that a person wrote for the same definition.

CPU time is that of the whole process, DuckDB's threads included. The rounds go in turn.
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from services.evaluator.__main__ import _GC_THRESHOLDS
from shared.domain.event import Event
from shared.domain.plan import Plan
from shared.history.engine import Engine
from shared.history.partials import partials_of
from shared.history.want import Want
from tests.bench.history_data import END_US, LOG_EPOCH, PARTITIONS, TENANT, TYPES, history_files
from tests.bench.measure import spread
from tests.bench.segment_definitions import definitions
from tests.support.kernel import fold_all, plan_of, trimmed

MEMORY_MB = 600
ROUNDS = 5
SAMPLE = 200
"""Users whose partials are compared with what the kernel folds of their events."""
GOAL, HUNDRED_GOAL = 0.7, 3.0

Json = dict[str, Any]

ONE: Json = {
    "logic": "AND",
    "conditions": [
        {"type": "event_count", "event_type": "page_viewed", "operator": "gte", "value": 3, "window_days": 90},
        {"type": "event_count", "event_type": "cart_add", "operator": "gte", "value": 2},
        {"type": "recency", "event_type": "order_placed", "operator": "lte", "window_days": 30},
        {
            "type": "monetary",
            "event_type": "order_placed",
            "property": "total",
            "metric": "sum",
            "operator": "gte",
            "value": 100,
        },
        {"type": "event_property", "event_type": "order_placed", "property": "plan", "operator": "eq", "value": "pro"},
    ],
}
BY_HAND = """
SELECT log_partition, user_id,
    count(CASE WHEN event_type = 'page_viewed' AND occurred_at > make_timestamptz($as_of) - INTERVAL 90 DAY
        THEN 1 END) AS views,
    count(CASE WHEN event_type = 'cart_add' THEN 1 END) AS carts,
    max(CASE WHEN event_type = 'order_placed' THEN occurred_at END) AS newest,
    sum(CASE WHEN event_type = 'order_placed' THEN TRY_CAST(payload->>'$.total' AS DECIMAL(21, 6)) END) AS spent,
    arg_max(CASE WHEN event_type = 'order_placed' THEN payload->>'$.plan' END,
        CASE WHEN event_type = 'order_placed' THEN (occurred_at, log_offset) END) AS plan
FROM events
WHERE tenant = $tenant AND log_epoch = $log_epoch AND NOT is_repeat
    AND event_type IN ('page_viewed', 'cart_add', 'order_placed')
GROUP BY log_partition, user_id
"""


def apart() -> list[Json]:
    """A hundred definitions, each over an aggregate of its own, over all 40 types."""
    types = [*TYPES, *(f"other_{number}" for number in range(len(TYPES), 40))]
    kinds: Sequence[Json] = (
        {"type": "event_count", "operator": "gte", "value": 2},
        {"type": "recency", "operator": "lte", "window_days": 30},
        {"type": "event_count", "operator": "gte", "value": 3, "window_days": 90},
    )
    conditions = [kind | {"event_type": event_type} for kind in kinds for event_type in types][:100]
    return [{"logic": "AND", "conditions": [condition]} for condition in conditions]


def measure(events: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """CPU seconds of each, by name, one for each round."""
    gc.set_threshold(*_GC_THRESHOLDS)  # as where partials are made
    plans = {"one definition": plan_of([ONE]), "100 sharing": plan_of(definitions(100)), "100 apart": plan_of(apart())}
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        files = history_files(Path(folder), events)
        engine = Engine([Path(folder)], Path(folder, "temp"), MEMORY_MB, threads=2)
        with closing(engine), engine.session(files) as connection:
            for plan in plans.values():
                check(connection, plan)
            runs: dict[str, Callable[[], int]] = {"by hand": partial(_by_hand, connection)}
            runs |= {name: partial(_backfill, connection, plan) for name, plan in plans.items()}
            figures: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(rounds):
                for name, run in runs.items():
                    figures[name].append(_cpu_s(run))
    return {"events": events, "cpu_s": figures, "aggregates": {name: len(plan.slots) for name, plan in plans.items()}}


def table(found: dict[str, Any]) -> str:
    """The figures for a person."""
    events, figures = found["events"], found["cpu_s"]
    middle = {name: statistics.median(values) for name, values in figures.items()}
    lines = [f"partials from {events:,} events, memory of DuckDB {MEMORY_MB} MB, CPU seconds (median, range)"]
    for name, values in figures.items():
        aggregates = found["aggregates"].get(name, "")
        rate = events / middle[name] / 1e6
        lines.append(f"  {name:<15} {aggregates:>4} {spread(values):<20} {rate:6.1f} M rows per CPU-second")
    share, times = middle["by hand"] / middle["one definition"], middle["100 sharing"] / middle["one definition"]
    lines.append(f"  one definition at {share:.2f} of the speed by hand (goal {GOAL})")
    lines.append(f"  100 definitions at {times:.2f} times the cost of one (goal {HUNDRED_GOAL})")
    return "\n".join(lines)


def check(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """The partials of some users are those that the kernel folds."""
    slots, sampled = list(plan.slots.values()), _events_of_some(connection)
    batches = partials_of(connection, TENANT, LOG_EPOCH, _wants(plan), END_US)
    found = {one.user_id: one.partials for one in chain.from_iterable(batches) if one.user_id in sampled}
    for user_id, events in sampled.items():
        folded = trimmed(plan, fold_all(plan, events), END_US)
        for slot, history in zip(slots, found[user_id], strict=True):
            zero = slot.verbs.zero()
            assert (history or zero) == folded.get(slot.key, zero), (user_id, slot.aggregate)


def _events_of_some(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Event]]:
    some = f"SELECT user_id FROM events WHERE makes_known ORDER BY hash(user_id) LIMIT {SAMPLE}"
    read = "user_id, event_type, epoch_us(occurred_at), epoch_us(received_at), log_offset, payload"
    where = f"NOT is_repeat AND user_id IN ({some})"
    sampled: dict[str, list[Event]] = {}
    rows = connection.sql(f"SELECT {read} FROM events WHERE {where} ORDER BY log_offset").fetchall()
    for user_id, event_type, occurred_at, received_at, offset, payload in rows:
        event = Event(user_id, event_type, occurred_at, received_at, offset, msgspec.json.decode(payload))
        sampled.setdefault(user_id, []).append(event)
    return sampled


def _by_hand(connection: duckdb.DuckDBPyConnection) -> int:
    bound = {"tenant": TENANT, "log_epoch": LOG_EPOCH, "as_of": END_US}
    return sum(batch.num_rows for batch in connection.sql(BY_HAND, params=bound).to_arrow_reader())


def _backfill(connection: duckdb.DuckDBPyConnection, plan: Plan) -> int:
    return sum(map(len, partials_of(connection, TENANT, LOG_EPOCH, _wants(plan), END_US)))


def _wants(plan: Plan) -> list[Want]:
    everything = dict.fromkeys(range(PARTITIONS), 1 << 62)
    return [Want(slot.aggregate, slot.windows, slot.newest, everything) for slot in plan.slots.values()]


def _cpu_s(run: Callable[[], int]) -> float:
    start = time.process_time()
    assert run() > 0
    return time.process_time() - start
