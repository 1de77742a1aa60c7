"""A segment is about the past too: what was archived is merged into the live state, once, whatever comes between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.topics import CHANGELOG, EVENTS
from tests.support.clean_servers import delete_records, delete_topic
from tests.support.evaluators import EvaluatorProcess, ServiceProcess, metric, wait_for
from tests.support.stream import Stream
from tests.support.truth import Definitions, Truth, differences

NewWorker = Callable[..., EvaluatorProcess]

USERS = 300
RATE = 2_000


def condition(**keys: Any) -> dict[str, Any]:
    return {"logic": "AND", "conditions": [keys]}


OF_ORDERS = {"event_type": "order_placed", "property": "total"}
DEFINITIONS: Definitions = {
    1: condition(type="event_count", event_type="order_placed", operator="gte", value=5),
    2: condition(type="event_count", event_type="page_viewed", operator="lt", value=4, window_days=2),
    3: condition(
        type="monetary",
        event_type="order_placed",
        property="total",
        metric="sum",
        operator="gt",
        value=250,
        window_days=7,
    ),
    4: condition(type="event_property", event_type="signup", property="path", operator="eq", value="/pricing"),
    5: condition(type="recency", event_type="cart_add", operator="lte", window_days=30),
    6: condition(type="event_sequence", events=["signup", "cart_add", "order_placed"], window_days=1, strict=True),
    7: condition(type="monetary", event_type="cart_add", property="total", metric="avg", operator="gte", value=50),
}


def assert_all_count(stream: Stream, definitions: Definitions = DEFINITIONS, truth: Truth | None = None) -> None:
    """Redis says what follows from the whole log."""
    as_of = stream.clock()
    expected = (truth or Truth(stream, definitions)).memberships(as_of)
    assert differences(expected, stream.memberships(as_of)) == []
    assert differences(expected, stream.member_sets()) == []
    assert len(expected) > len(definitions) // 2, "most have members"


def compute(stream: Stream, definitions: Definitions, within_s: float = 60) -> None:
    """Both phases, as the api leads through them."""
    wishes = {stream.wish(segment_id, computing=definition) for segment_id, definition in definitions.items()}
    stream.await_reports("ready", wishes, within_s)
    switches = {stream.wish(segment_id, serving=definition) for segment_id, definition in definitions.items()}
    stream.await_reports("switched", switches, within_s)


@pytest.mark.usefixtures("exporter")
@pytest.mark.parametrize("crash_at", ["", "after_merge:3"])
def test_segments_computed_while_events_flow_count_all_of_them_once(
    stream: Stream, new_worker: NewWorker, crash_at: str
) -> None:
    first = new_worker(environ={"SHOAL_EVALUATOR_CRASH_AT": crash_at}).await_ready()
    stream.send_many(8_000, USERS, seed=1)
    with ThreadPoolExecutor(1) as thread:
        is_computed = False
        flowing = thread.submit(stream.send_many, 6_000, USERS, 2, RATE, lambda: is_computed)
        try:
            if crash_at:
                wishes = {stream.wish(n, computing=definition) for n, definition in DEFINITIONS.items()}
                first.await_exit(60)
                new_worker().await_ready()
                stream.await_reports("ready", wishes, 60)
                switches = {stream.wish(n, serving=definition) for n, definition in DEFINITIONS.items()}
                stream.await_reports("switched", switches, 60)
            else:
                compute(stream, DEFINITIONS)
        finally:
            is_computed = True
        flowing.result()
    stream.await_committed()
    wait_for(lambda: stream.clock() >= _newest_us(stream), 20, "everything is swept")
    assert_all_count(stream)


@pytest.mark.usefixtures("exporter")
def test_several_computes_share_one_scan(stream: Stream, new_worker: NewWorker) -> None:
    worker = new_worker().await_ready()
    stream.send_many(4_000, USERS, seed=3)
    stream.await_committed()
    compute(stream, DEFINITIONS)
    assert_all_count(stream)
    done = [line for line in worker.log.read_text().splitlines() if "backfills of" in line]
    partitions = stream.partitions
    assert sum(int(line.split("tenant 1: ")[1].split()[0]) for line in done) == len(DEFINITIONS) * partitions
    assert len(done) <= 2, done
    assert metric(worker, 'shoal_evaluator_backfills_total{outcome="done"}') == len(DEFINITIONS) * partitions


@pytest.mark.usefixtures("exporter")
def test_a_compute_that_is_given_up_leaves_no_trace(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.send_many(2_000, USERS, seed=4)
    stream.await_committed()
    compute(stream, {1: DEFINITIONS[1]})
    slots_before = _slots(stream)
    given_up = stream.wish(1, serving=DEFINITIONS[1], computing=DEFINITIONS[2], computing_version=2)
    stream.await_reports("ready", {given_up})
    assert _slots(stream) > slots_before
    stream.await_reports("switched", {stream.wish(1, serving=DEFINITIONS[1])})
    wait_for(lambda: _slots(stream) == slots_before, 20, "what was gathered in vain is gone")
    assert_all_count(stream, {1: DEFINITIONS[1]})


def test_a_history_that_cannot_be_read_fails_the_compute_and_says_why(
    stream: Stream, new_worker: NewWorker, exporter: ServiceProcess, environ: dict[str, str]
) -> None:
    new_worker().await_ready()
    stream.send_many(2_000, USERS, seed=5)
    stream.await_committed()
    compute(stream, {1: DEFINITIONS[1]})
    assert exporter.stop() == 0
    for file in Path(environ["SHOAL_HISTORY"]).rglob("*.parquet"):
        file.write_bytes(b"no parquet" * 50)
    stream.wish(1, serving=DEFINITIONS[1], computing=DEFINITIONS[4], computing_version=2)
    failed = wait_for(lambda: [r for r in stream.reports() if r.status == "failed"], 30, "the compute has failed")
    assert ".parquet" in str(failed[0].error)
    assert_all_count(stream, {1: DEFINITIONS[1]})


def test_a_lost_changelog_is_made_anew_from_history_and_what_the_log_still_has(
    stream: Stream, new_worker: NewWorker, exporter: ServiceProcess
) -> None:
    worker = new_worker().await_ready()
    stream.activate(DEFINITIONS)
    stream.send_many(6_000, USERS, seed=6)
    stream.await_committed()
    wait_for(
        lambda: metric(exporter, 'shoal_exporter_archived_rows_total{table="events"}') == 6_000, 30, "all is archived"
    )
    assert worker.stop() == 0
    truth, ends = Truth(stream, DEFINITIONS), stream.end_offsets()
    delete_topic(stream.bootstrap, CHANGELOG)
    delete_records(stream.bootstrap, EVENTS, {p: end - 50 for p, end in ends.items()})
    new_worker().await_ready()
    stream.send_many(1_000, USERS, seed=7)
    stream.await_committed()
    added = 0
    for partition, users in Truth(stream, DEFINITIONS).events.items():
        for user_id, events in users.items():
            new = [event for event in events if event.offset >= ends[partition]]
            truth.events[partition].setdefault(user_id, []).extend(new)
            added += len(new)
    assert added == 1_000
    assert_all_count(stream, truth=truth)


def _newest_us(stream: Stream) -> int:
    return max(message.timestamp()[1] for message in stream.read(EVENTS, stream.partitions)) * 1000


def _slots(stream: Stream) -> set[str]:
    return {slot for state in stream.states()[0].values() for slot in state.slots}
