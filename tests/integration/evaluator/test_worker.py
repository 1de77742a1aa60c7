"""A worker on real servers: events change memberships, so does time, and nothing unusable stops the others."""

import json
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from shared.contracts.dead_letter import read_dead_letter_headers
from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import DEAD_LETTERS, EVENTS, SIDE_PARTITIONS
from tests.integration.evaluator.conftest import PARTITIONS
from tests.support.evaluators import EvaluatorProcess, metric, wait_for
from tests.support.poison import POISON
from tests.support.stream import TENANT, Stream, is_member

NewWorker = Callable[..., EvaluatorProcess]

BOUGHT = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1}]}
ACTIVE = {
    "logic": "AND",
    "conditions": [
        {"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1, "window_seconds": 5},
    ],
}
MEASURING_ERROR_S = 0.05
"""A look takes some milliseconds, and the broker's clock stamps whole ones."""


def partition(user_id: str) -> int:
    return partition_of(user_key(TENANT, user_id), PARTITIONS)


def is_in(stream: Stream, user_id: str, segment_id: int) -> bool:
    """What a lookup answers now, by the rule that it follows."""
    now_us = time.time_ns() // 1000
    return any(r.segment_id == segment_id and is_member(r, now_us) for r in stream.lookup(user_id, partition(user_id)))


def entered(stream: Stream, user_id: str, segment_id: int) -> bool:
    return wait_for(lambda: is_in(stream, user_id, segment_id), 10, f"{user_id} is in {segment_id}")


def received_at_s(stream: Stream, user_id: str) -> float:
    """When the broker received the user's last event."""
    last = [m for m in stream.read(EVENTS, PARTITIONS) if m.key() == user_key(TENANT, user_id)][-1]
    return last.timestamp()[1] / 1000


def watch_the_end(stream: Stream, user_id: str, ends_at_s: float) -> None:
    """Look every 20 ms until a second after the end: never wrong by more than the measuring error."""
    while (now_s := time.time()) < ends_at_s + 1:
        answer, after_s = is_in(stream, user_id, 1), time.time()
        if after_s < ends_at_s - MEASURING_ERROR_S:
            assert answer, f"out {ends_at_s - now_s:.3f} s before the window ended"
        if now_s > ends_at_s + MEASURING_ERROR_S:
            assert not answer, f"still in {now_s - ends_at_s:.3f} s after the window ended"
        time.sleep(0.02)


def test_a_window_ends_to_the_instant_and_the_change_follows_within_a_second(
    stream: Stream, new_worker: NewWorker
) -> None:
    new_worker().await_ready()
    stream.activate({1: ACTIVE})
    stream.send("anna", "buy")
    stream.flush()
    entered(stream, "anna", 1)
    ends_at_s = received_at_s(stream, "anna") + 5
    watch_the_end(stream, "anna", ends_at_s)
    assert [c["change"] for c in stream.changes()] == ["entered", "exited"]
    assert stream.changes()[-1]["at_us"] == round(ends_at_s * 1_000_000)
    assert stream.changes()[-1]["reason"] == "time"


def test_a_window_ends_to_the_instant_while_the_worker_is_stopped(stream: Stream, new_worker: NewWorker) -> None:
    worker = new_worker().await_ready()
    stream.activate({1: ACTIVE})
    stream.send("anna", "buy")
    stream.flush()
    entered(stream, "anna", 1)
    worker.kill()
    watch_the_end(stream, "anna", received_at_s(stream, "anna") + 5)
    assert [c["change"] for c in stream.changes()] == ["entered"]
    new_worker().await_ready()
    wait_for(lambda: len(stream.distinct_changes()) == 2, 10, "the change follows when a worker is back")


def test_switching_off_takes_everybody_out_and_deleting_leaves_nothing(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.activate({1: BOUGHT, 2: BOUGHT})
    stream.send("anna", "buy")
    stream.flush()
    entered(stream, "anna", 1)
    wishes = {stream.wish(1), stream.wish(2, deleted=True)}
    stream.await_reports("switched", wishes)
    assert stream.lookup("anna", partition("anna")) == []
    assert stream.member_sets() == {}
    exits = {c["segment_id"]: c["reason"] for c in stream.changes() if c["change"] == "exited"}
    assert exits == {1: "deactivated", 2: "deleted"}


@pytest.mark.usefixtures("exporter")
def test_computing_leaves_the_answers_alone_until_the_switch(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.activate({1: BOUGHT})
    stream.send("anna", "buy")
    stream.flush()
    entered(stream, "anna", 1)
    count = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": 3, "window_days": 1}
    thrice = {"logic": "AND", "conditions": [count]}
    stream.await_reports("ready", {stream.wish(1, serving=BOUGHT, computing=thrice, computing_version=2)})
    for _ in range(2):
        assert is_in(stream, "anna", 1)
        stream.send("anna", "buy")
        stream.flush()
    stream.await_committed()
    # the one before the compute is in history, the others came live
    stream.await_reports("switched", {stream.wish(1, serving=thrice, version=2)})
    assert is_in(stream, "anna", 1)
    assert len(stream.changes()) == 1


def test_a_user_with_more_events_than_are_kept_is_counted_in_a_metric(stream: Stream, new_worker: NewWorker) -> None:
    worker = new_worker().await_ready()
    often = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": 5_000, "window_days": 1}
    stream.activate({1: {"logic": "AND", "conditions": [often]}})
    for user_id, count in (("anna", 4_096), ("ben", 4_097)):
        for _ in range(count):
            stream.send(user_id, "buy")
    stream.await_committed()
    assert metric(worker, "shoal_evaluator_approximate_users") == 1


def test_poison_lands_in_dead_letters_and_the_next_record_is_processed(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.activate({1: BOUGHT})
    for number, (value, _) in enumerate(POISON.values()):
        stream.producer.produce(EVENTS, value, user_key(TENANT, "u"), partition("u"))
        stream.send("u" if number == 0 else f"u-{number}", "look")
    stream.producer.produce(EVENTS, b'{"tenant":1,"user_id":"u","event_type":"buy"}', None, partition("u"))
    stream.send("u", "buy")
    stream.flush()
    entered(stream, "u", 1)
    stream.await_committed()
    letters = list(stream.read(DEAD_LETTERS, SIDE_PARTITIONS))
    found = {m.value() or b"": read_dead_letter_headers(m.headers() or []).reason for m in letters}  # type: ignore[arg-type]
    print(json.dumps(dict(zip(POISON, found.values(), strict=False)), indent=1))
    assert len(letters) == len(POISON) + 1
    for name, (value, hint) in POISON.items():
        assert hint in found[value], f"{name}: {found[value]}"
    assert any(m.key() is None for m in letters)


def test_another_partitioner_is_found_out(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.activate({1: BOUGHT})
    users = [f"user-{n}" for n in range(20)]
    for partitioner in ("murmur2_random", "consistent_random"):
        producer = Producer({"bootstrap.servers": stream.bootstrap, "partitioner": partitioner})
        for user_id in users:
            value = {"tenant": TENANT, "user_id": f"{partitioner}-{user_id}", "event_type": "buy"}
            producer.produce(EVENTS, json.dumps(value).encode(), user_key(TENANT, value["user_id"]))  # type: ignore[arg-type]
        assert producer.flush(30) == 0
    stream.await_committed()
    for user_id in users:
        assert is_in(stream, f"murmur2_random-{user_id}", 1)
    letters = list(stream.read(DEAD_LETTERS, SIDE_PARTITIONS))
    reasons = [read_dead_letter_headers(m.headers() or []).reason for m in letters]  # type: ignore[arg-type]
    assert len(letters) >= 10
    assert all("partitioner=murmur2_random" in reason for reason in reasons)
