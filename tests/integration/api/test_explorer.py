"""Looking into users over HTTP, answered by a real evaluator: why they are in, and what an event would turn."""

import signal
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import segops_admin

from services.api.questions import WAIT_S
from shared.contracts.topics import EVENTS
from shared.domain.times import parse_time
from tests.support.evaluators import EvaluatorProcess, environment, evaluators, exporters, wait_for
from tests.support.served_api import KEY, PARTITIONS, ServedApi, reading
from tests.support.servers import Servers

PATIENCE_S = 30
NOISE_S = 1.5
"""What a busy machine may add."""
USER = "ann@example.com/é 1"
SANDBOX = "/api/explorer/sandbox/publish/"


@pytest.fixture(scope="module")
def evaluator(api: ServedApi, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluatorProcess]:
    """An evaluator of the api's partitions, and an exporter, for segments computed after the first event."""
    history = {"SHOAL_HISTORY": str(tmp_path_factory.mktemp("history")), "SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": "0.2"}
    servers_of = servers.kafka_bootstrap_servers, servers.redis_url
    told = environment(*servers_of, SHOAL_PARTITIONS=str(PARTITIONS), **history)
    with exporters(told) as new_exporter, evaluators(told) as new_evaluator:
        new_exporter()
        yield new_evaluator().await_ready()


def group(*conditions: dict[str, Any], logic: str = "AND") -> dict[str, Any]:
    return {"logic": logic, "conditions": list(conditions)}


def computed(api: ServedApi, *conditions: dict[str, Any], name: str = "segment") -> int:
    """A computed segment."""
    made = api.segment(group(*conditions), name=name)
    path = f"/api/segments/{made['id']}/compute/"
    assert api.client.post(path).status_code == 202
    wait_for(lambda: api.get(path)["status"] == "computed", PATIENCE_S, "the segment is computed")
    return int(made["id"])


def track(api: ServedApi, user_id: str, event_type: str, **payload: Any) -> None:
    body = {"user_id": user_id, "event_type": event_type, "payload": payload}
    assert api.client.post("/api/ingestion/track/", json=body).status_code == 202


def explain(api: ServedApi, user_id: str, segment_id: int) -> Any:
    """The explanation with its evidence."""
    return api.get(f"/api/explorer/users/{quote(user_id, safe='')}/segments/{segment_id}/explain/?verbose=1")


def await_member(api: ServedApi, user_id: str, segment_id: int) -> Any:
    """The explanation that says that the user is a member."""

    def explained() -> Any:
        found = explain(api, user_id, segment_id)
        return found if found["member"] else None

    return wait_for(explained, PATIENCE_S, f"{user_id} is a member of {segment_id}")


def bought(value: int, **window: float) -> dict[str, Any]:
    return {"type": "event_count", "event_type": "order", "operator": "gte", "value": value, **window}


SPENT = {
    "type": "monetary",
    "event_type": "order",
    "property": "total",
    "metric": "sum",
    "operator": "gte",
    "value": 10,
}
SIGNED_UP = {"type": "recency", "event_type": "signup", "operator": "lte", "window_hours": 1}


def test_every_condition_of_a_user_is_explained(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    big = computed(api, SPENT | {"window_days": 30}, name="Big spenders")
    every = computed(
        api,
        group(bought(9), SIGNED_UP, logic="OR"),
        SPENT | {"metric": "avg", "operator": "lt", "negate": True},
        {"type": "event_property", "event_type": "order", "property": "plan", "operator": "in", "value": ["pro", 1]},
        {"type": "user_property", "property": "country", "operator": "is_set"},
        {"type": "event_sequence", "events": ["signup", "order"], "window_days": 1},
        {"type": "segment_membership", "segment_id": big, "operator": "in"},
    )
    track(api, USER, "context_identified", country="NL")
    track(api, USER, "signup")
    track(api, USER, "order", total=12.5, plan="pro")
    track(api, USER, "order", total=7.5, plan="pro")
    said = await_member(api, USER, every)
    rows = said["conditions"]
    assert [(row["label"], row["actual_value"], row["threshold"], row["matches"]) for row in rows] == [
        ("Did order at least 9 times", 2, 9, False),
        ("Last did signup at most 1 hour ago", rows[1]["actual_value"], "1 hour", True),
        ("Not: Average of total of order is less than 10", 10, 10, True),
        ('plan of the newest order is one of "pro", 1', "pro", ["pro", 1], True),
        ("User property country is set", "NL", None, True),
        ("Did signup, then order within 1 day", True, True, True),
        (f"Is a member of segment {big} (Big spenders)", True, True, True),
    ]
    assert [row["index"] for row in rows] == list(range(7))
    assert rows[1]["path"] == "$.conditions[0].conditions[1]"
    hour_later = parse_time(rows[1]["actual_value"]) + 3_600_000_001  # type: ignore[operator] # a time, always
    assert parse_time(rows[1]["next_change_at"]) == hour_later == parse_time(said["next_change_at"])
    assert (said["known"], said["version"]) == (True, 1)
    assert said["evidence"][3]["events"][0]["value"] == "pro"
    path = f"/api/explorer/users/{quote(USER, safe='')}/segments/{every}/explain/"
    assert api.get(path) == rows
    assert api.get(path.removesuffix("/")) == rows


def test_an_explanation_turns_with_time(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    segment_id = computed(api, bought(1, window_seconds=3))
    track(api, "tick", "order")
    turn = await_member(api, "tick", segment_id)["next_change_at"]
    after = wait_for(
        lambda: (said := explain(api, "tick", segment_id))["as_of"] >= turn and said, PATIENCE_S, "the clock moves on"
    )
    (row,) = after["conditions"]
    assert (after["member"], row["actual_value"], row["next_change_at"]) == (False, 0, None)


def test_an_event_is_tried_and_nothing_is_stored(api: ServedApi, servers: Servers, evaluator: EvaluatorProcess) -> None:
    twice, never = computed(api, bought(2), name="Twice"), computed(api, bought(1) | {"negate": True}, name="Never")
    track(api, "try", "look")
    await_member(api, "try", never)
    event = {"user_id": "try", "event_type": "order", "payload": {"total": 3}}
    with reading(servers, EVENTS, range(PARTITIONS)) as log:
        ends = [log.get_watermark_offsets(place) for place in log.assignment()]
        for _ in range(2):
            said = api.client.post(SANDBOX, json=event).json()
            assert said["published"] is True
            assert said["exited"] == [{"id": never, "name": "Never"}]
            assert twice not in [segment["id"] for segment in said["entered"]]
        assert [log.get_watermark_offsets(place) for place in log.assignment()] == ends
    assert explain(api, "try", twice)["conditions"][0]["actual_value"] == 0
    track(api, "try", "order")
    wait_for(lambda: explain(api, "try", twice)["conditions"][0]["actual_value"], PATIENCE_S, "the order is counted")
    said = api.client.post(SANDBOX, json=event).json()
    assert {"id": twice, "name": "Twice"} in said["entered"]
    followed = [segment for segment in api.get("/api/segments/?page_size=500")["results"] if segment["active_version"]]
    assert len(said["entered"]) + len(said["exited"]) + said["unchanged_count"] == len(followed)


def test_a_new_user_is_known_by_the_event_that_is_tried(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    segment_id = computed(api, bought(1) | {"negate": True}, name="Never bought")
    said = explain(api, "stranger", segment_id)
    (row,) = said["conditions"]
    assert (said["known"], said["member"], row["matches"], row["actual_value"]) == (False, False, False, None)
    tried = api.client.post(SANDBOX, json={"user_id": "stranger", "event_type": "look"}).json()
    assert {"id": segment_id, "name": "Never bought"} in tried["entered"]
    assert explain(api, "stranger", segment_id)["known"] is False


def test_the_segments_of_a_user_with_names_and_since_when(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    segment_id = computed(api, bought(1), name="Bought")
    track(api, "buyer", "order")
    await_member(api, "buyer", segment_id)
    listed = wait_for(lambda: api.get("/api/explorer/users/buyer/segments/"), PATIENCE_S, "the lookup knows it too")
    (mine,) = [segment for segment in listed if segment["segment_id"] == segment_id]
    assert mine["segment_name"] == "Bought"
    assert mine["member_count"] >= 1
    assert abs(parse_time(mine["computed_at"]) - time.time() * 1e6) < 60e6  # type: ignore[operator] # as above
    assert api.get("/api/explorer/users/nobody/segments/") == []


def test_the_official_client_looks_into_users(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    admin = segops_admin.SegOpsAdmin(KEY, base_url=f"{api.url}/api", max_retries=0)
    segment_id = computed(api, bought(1))
    track(api, USER, "order")
    await_member(api, USER, segment_id)
    (row,) = admin.users.explain(USER, segment_id)
    assert {"index", "type", "label", "actual_value", "threshold", "matches"} <= row.keys()
    assert segment_id in [segment["segment_id"] for segment in admin.users.segments(USER)]
    tried = admin.users.publish_sandbox({"user_id": USER, "event_type": "look"})
    assert (tried["published"], tried["entered"], tried["exited"]) == (True, [], [])


def test_what_cannot_be_explained_is_told(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    draft = api.segment(group(bought(1)))["id"]
    never = api.client.get(f"/api/explorer/users/ann/segments/{draft}/explain/")
    assert (never.status_code, list(never.json())) == (409, ["detail"])
    unknown = [f"ann/segments/{1 << 40}", "ann/segments/x", "a/b/segments/1"]
    assert [api.client.get(f"/api/explorer/users/{path}/explain/").status_code for path in unknown] == [404] * 3
    for user_id in ("%ff", "%00", "a" * 257):
        answer = api.client.get(f"/api/explorer/users/{user_id}/segments/{draft}/explain/")
        assert (answer.status_code, list(answer.json())) == (400, ["user_id"])
    assert api.client.get(f"/api/explorer/users/ann/segments/{draft}/explain/?verbose=7").status_code == 400
    for body, field in (
        ({"event_type": "order"}, "user_id"),
        ({"user_id": "ann", "event_type": "order", "occurred_at": "2999-01-01"}, "occurred_at"),
        ({"user_id": "ann", "event_type": "order", "payload": {"x": "y" * 40_000}}, "payload"),
    ):
        answer = api.client.post(SANDBOX, json=body)
        assert (answer.status_code, list(answer.json())) == (400, [field])
    assert api.client.post(SANDBOX).status_code == 400


def test_an_owner_that_stands_still_or_is_gone_is_told_in_time(api: ServedApi, evaluator: EvaluatorProcess) -> None:
    segment_id = computed(api, bought(1))
    path = f"/api/explorer/users/ann/segments/{segment_id}/explain/"
    evaluator.send(signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        stopped = api.client.get(path)
        took_s = time.monotonic() - began_s
    finally:
        evaluator.send(signal.SIGCONT)
    assert (stopped.status_code, stopped.headers["Retry-After"]) == (503, "1")
    assert WAIT_S - 0.1 < took_s < WAIT_S + NOISE_S
    wait_for(lambda: api.client.get(path).status_code == 200, PATIENCE_S, "the owner answers again")
    evaluator.kill()
    began_s = time.monotonic()
    gone = api.client.get(path)
    assert (gone.status_code, gone.headers["Retry-After"]) == (503, "1")
    assert time.monotonic() - began_s < WAIT_S
    evaluator.start().await_ready()
    wait_for(lambda: api.client.get(path).status_code == 200, PATIENCE_S, "its successor answers")
