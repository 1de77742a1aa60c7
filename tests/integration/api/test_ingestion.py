"""Ingestion: what is answered 202 lies in Kafka, under the right key, in the right partition, once."""

import json
import time
from typing import Any

import pytest

from services.api.positions import parse_position
from shared.contracts.keys import partition_of, user_key
from shared.contracts.topics import EVENTS
from tests.support.clean_servers import fresh_database
from tests.support.served_api import PARTITIONS, ServedApi, api_settings, next_messages, prepare, reading, served_api
from tests.support.servers import Servers

TRACK = "/api/ingestion/track/"
BATCH = "/api/ingestion/track/batch/"


def events_in_kafka(servers: Servers, count: int, user_id: str) -> list[dict[str, Any]]:
    """The first events of a user in the log."""
    found: list[dict[str, Any]] = []
    with reading(servers, EVENTS, range(PARTITIONS)) as consumer:
        while len(found) < count:
            (message,) = next_messages(consumer, 1)
            event = json.loads(message.value() or b"")
            if event["user_id"] != user_id:
                continue
            key = user_key(event["tenant"], user_id)
            assert message.key() == key
            assert message.partition() == partition_of(key, PARTITIONS)
            found.append(event)
    return found


def test_an_event_is_stored_before_it_is_answered(servers: Servers, api: ServedApi) -> None:
    event: dict[str, Any] = {
        "user_id": "a/b@ü",
        "event_type": "order_placed",
        "occurred_at": "2026-04-25T12:00:00.5+02:00",
        "payload": {"total": 12.5, "items": [1, {"sku": "x"}], "none": None},
        "event_id": "e-1",
        "anonymous_id": "anon",
    }
    answer = api.client.post(TRACK, json={**event, "tenant": 999, "other": 1})
    assert answer.status_code == 202
    body = answer.json()
    assert body["queued"] is True
    tenant = api.segment()["tenant"]
    ((partition, offset),) = parse_position("position", body["position"]).offsets.items()
    assert partition == partition_of(user_key(tenant, event["user_id"]), PARTITIONS)
    with reading(servers, EVENTS, [partition]) as consumer:
        message = next_messages(consumer, offset + 1)[-1]
    assert message.offset() == offset
    assert json.loads(message.value() or b"") == {**event, "tenant": tenant}


def test_a_bad_event_never_fails_the_good_ones(servers: Servers, api: ServedApi) -> None:
    events = [
        {"user_id": "batch", "event_type": "a", "payload": {"n": 0}},
        {"user_id": "", "event_type": "a"},
        {"user_id": "batch", "event_type": "a", "payload": {"n": 1}},
        "nonsense",
        {"user_id": "batch", "event_type": "a", "occurred_at": "2999-01-01"},
        {"user_id": "batch", "event_type": "a", "payload": {"n": 2}},
    ]
    answer = api.client.post(BATCH, json={"events": events})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["queued"], body["skipped"]) == (3, 3)
    assert [error["index"] for error in body["errors"]] == [1, 3, 4]
    assert [error["detail"].split(":")[0] for error in body["errors"]] == ["user_id", "event", "occurred_at"]
    assert [event["payload"]["n"] for event in events_in_kafka(servers, 3, "batch")] == [0, 1, 2]


def test_a_batch_of_bad_events_only_is_skipped_whole(api: ServedApi) -> None:
    answer = api.client.post(BATCH, json={"events": [{}]})
    assert answer.status_code == 202
    assert (answer.json()["queued"], answer.json()["skipped"]) == (0, 1)


def test_the_largest_batch_is_stored_in_order(servers: Servers, api: ServedApi) -> None:
    events = [{"user_id": "many", "event_type": "a", "payload": {"n": n}} for n in range(500)]
    assert api.client.post(BATCH, json={"events": events}).json()["queued"] == 500
    assert [event["payload"]["n"] for event in events_in_kafka(servers, 500, "many")] == list(range(500))


def test_a_clock_a_little_ahead_is_accepted_and_the_text_stays(servers: Servers, api: ServedApi) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3000))
    event = {"user_id": "fast", "event_type": "a", "occurred_at": soon}
    assert api.client.post(TRACK, json=event).status_code == 202
    assert events_in_kafka(servers, 1, "fast")[0]["occurred_at"] == soon


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"event_type": "a"}, "user_id"),
        ({"user_id": "", "event_type": "a"}, "user_id"),
        ({"user_id": 5, "event_type": "a"}, "user_id"),
        ({"user_id": "u" * 257, "event_type": "a"}, "user_id"),
        ({"user_id": "u"}, "event_type"),
        ({"user_id": "u", "event_type": "e" * 129}, "event_type"),
        ({"user_id": "u", "event_type": "a", "occurred_at": "yesterday"}, "occurred_at"),
        ({"user_id": "u", "event_type": "a", "occurred_at": "1969-12-31"}, "occurred_at"),
        ({"user_id": "u", "event_type": "a", "occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"user_id": "u", "event_type": "a", "payload": []}, "payload"),
        ({"user_id": "u", "event_type": "a", "payload": {"x": "y" * 40_000}}, "payload"),
        ({"user_id": "u", "event_type": "a", "event_id": ""}, "event_id"),
    ],
)
def test_a_bad_event_is_refused_with_the_field(api: ServedApi, event: dict[str, Any], field: str) -> None:
    answer = api.client.post(TRACK, json=event)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert isinstance(answer.json()[field][0], str)


@pytest.mark.parametrize("events", [None, [], [{}] * 501, {}, "x"])
def test_a_batch_holds_one_to_five_hundred(api: ServedApi, events: Any) -> None:
    answer = api.client.post(BATCH, json={"events": events})
    assert answer.status_code == 400
    assert list(answer.json()) == ["events"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"user_id": NaN}',
        b"[" * 5000,
        b"9" * 400,
        b'{"user_id": "a\\u0000", "event_type": "a"}',
    ],
)
def test_what_is_no_event_at_all_is_a_bad_request(api: ServedApi, body: bytes) -> None:
    for path in (TRACK, BATCH):
        answer = api.client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert len(answer.json()) == 1


def test_without_kafka_nothing_is_acknowledged_and_the_caller_is_told_when_to_retry(servers: Servers) -> None:
    with fresh_database(servers.database_url) as database_url:
        prepare(api_settings(servers, database_url))
        settings = api_settings(servers, database_url, kafka_bootstrap_servers="127.0.0.1:1")
        with served_api(settings) as api:
            event = {"user_id": "u", "event_type": "a"}
            for path, body in ((TRACK, event), (BATCH, {"events": [event] * 3})):
                started_s = time.monotonic()
                answer = api.client.post(path, json=body)
                assert time.monotonic() - started_s < 5
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            ready = api.client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["parts"]["kafka"] != "ok"
            # what needs no Kafka goes on
            assert api.segment()["status"] == "draft"
