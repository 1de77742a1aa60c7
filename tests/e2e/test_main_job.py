"""The main job over the whole system: an event changes the answer of a lookup, and so does time alone."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import segops

from deploy.local.process import end_left_over
from deploy.local.rest import Api
from tests.bench.latency import measured
from tests.bench.measure import percentile
from tests.support.evaluators import wait_for
from tests.support.local_runner import LocalRunner, free_port_base
from tests.support.stream import Stream

PATIENCE_S = 30
PARTITIONS = 12
"""Of an installation, unless it is told otherwise."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A running installation without the demo."""
    folder = tmp_path_factory.mktemp("installation")
    runner = LocalRunner(folder, free_port_base())
    try:
        runner.up("--no-demo")
        yield runner.connection()
    finally:
        if runner.process.poll() is None:
            runner.end(signal.SIGTERM)
        end_left_over(folder)


@pytest.fixture
def api(connection: dict[str, Any]) -> Api:
    return Api(connection["api_url"], connection["api_key"])


def segment(api: Api, *conditions: dict[str, Any]) -> int:
    """A computed segment."""
    definition = {"logic": "AND", "conditions": list(conditions)}
    made = api.post("/api/segments/", {"name": json.dumps(conditions)[:80], "definition": definition})
    path = f"/api/segments/{made['id']}/compute/"
    api.post(path, {})
    wait_for(lambda: api.get(path)["status"] == "computed", PATIENCE_S, "the segment is computed")
    return int(made["id"])


def counted(value: int, **keys: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": "bought", "operator": "gte", "value": value} | keys


def member_of(segment_id: int, operator: str = "in") -> dict[str, Any]:
    return {"type": "segment_membership", "segment_id": segment_id, "operator": operator}


def is_in(api: Api, user_id: str, segment_id: int) -> Callable[[], bool]:
    return lambda: segment_id in api.get(f"/api/segments/membership/?user_id={user_id}")["segment_ids"]


def test_the_official_client_changes_memberships(connection: dict[str, Any], api: Api) -> None:
    segment_id = segment(api, counted(100))
    errors: list[BaseException] = []
    client = segops.SegOpsClient(connection["api_url"], connection["api_key"], on_error=errors.append)
    for number in range(1_000):
        client.track(user_id=f"client-{number % 10}", event_type="bought")
    client.identify(user_id="client-0", traits={"plan": "pro"})
    client.shutdown()
    assert errors == []
    for number in range(10):
        wait_for(is_in(api, f"client-{number}", segment_id), PATIENCE_S, f"client-{number} is in the segment")
    wait_for(lambda: api.get(f"/api/segments/{segment_id}/")["member_count"] == 10, PATIENCE_S, "all are counted")


def test_time_alone_takes_a_user_out_to_the_instant(api: Api) -> None:
    segment_id = segment(api, counted(1, window_seconds=2))
    api.post("/api/ingestion/track/", {"user_id": "tick", "event_type": "bought"})
    inside = is_in(api, "tick", segment_id)
    wait_for(inside, PATIENCE_S, "the user is in")
    turn = api.get("/api/segments/membership/?user_id=tick")["next_change_at"]
    wait_for(lambda: not inside(), PATIENCE_S, "the user is out")
    assert turn is not None


def test_a_deleted_segment_is_gone_from_lookups_within_five_seconds(connection: dict[str, Any], api: Api) -> None:
    segment_id = segment(api, counted(1))
    api.post("/api/ingestion/track/", {"user_id": "gone", "event_type": "bought"})
    wait_for(is_in(api, "gone", segment_id), PATIENCE_S, "the user is in")
    key = {"Authorization": f"ApiKey {connection['api_key']}"}
    assert httpx.delete(f"{connection['api_url']}/api/segments/{segment_id}/", headers=key).status_code == 204
    began = time.monotonic()
    wait_for(lambda: not is_in(api, "gone", segment_id)(), 5, "the segment is gone from lookups")
    assert time.monotonic() - began < 5


def test_a_segment_follows_those_it_refers_to_in_the_same_instant(connection: dict[str, Any], api: Api) -> None:
    visited = counted(1, event_type="visited")
    wanted = segment(api, visited | {"window_seconds": 2})
    follower, others = segment(api, member_of(wanted)), segment(api, visited, member_of(wanted, "not_in"))
    last = segment(api, member_of(follower), member_of(others, "not_in"))

    def found() -> set[int]:
        """What one answer says of the segments, which is never half of a turn."""
        answer: set[int] = set(api.get("/api/segments/membership/?user_id=referred")["segment_ids"])
        assert answer in (set(), {wanted, follower, last}, {others})
        return answer

    api.post("/api/ingestion/track/", {"user_id": "referred", "event_type": "visited"})
    wait_for(lambda: wanted in found(), PATIENCE_S, "the event takes the user into the first and its followers")
    wait_for(lambda: others in found(), PATIENCE_S, "time alone takes the user out of them again")
    stream = Stream(connection["kafka_bootstrap_servers"], connection["redis_url"], PARTITIONS)
    turns = [change for change in stream.distinct_changes() if change["user_id"] == "referred"]
    stream.close()
    entered, exited = (
        {c["segment_id"]: c["at_us"] for c in turns if c["change"] == kind} for kind in ("entered", "exited")
    )
    assert exited.keys() == {wanted, follower, last}
    assert len({*exited.values(), entered.pop(others)}) == 1
    assert len(set(entered.values())) == 1


def test_a_deactivated_segment_takes_its_followers_along(connection: dict[str, Any], api: Api) -> None:
    bought = counted(1, event_type="subscribed")
    wanted = segment(api, bought)
    follower, others = segment(api, member_of(wanted)), segment(api, bought, member_of(wanted, "not_in"))
    api.post("/api/ingestion/track/", {"user_id": "left", "event_type": "subscribed"})
    wait_for(is_in(api, "left", follower), PATIENCE_S, "the follower follows")
    key = {"Authorization": f"ApiKey {connection['api_key']}"}
    at = f"{connection['api_url']}/api/segments/{wanted}/"
    refused = httpx.delete(at, headers=key)
    assert refused.status_code == 409
    assert f"segment {follower} " in refused.json()["detail"]
    assert httpx.patch(at, headers=key, json={"is_active": False}).status_code == 200
    wait_for(is_in(api, "left", others), PATIENCE_S, "nobody is a member of a segment that is not active")
    wait_for(lambda: not is_in(api, "left", follower)(), PATIENCE_S, "the follower is left")


def test_a_membership_is_explained_and_an_event_tried(api: Api) -> None:
    once, twice = (segment(api, counted(n, event_type="explained", window_days=1)) for n in (1, 2))
    event = {"user_id": "why@example.com", "event_type": "explained"}
    api.post("/api/ingestion/track/", event)
    wait_for(is_in(api, event["user_id"], once), PATIENCE_S, "the user is in")
    (row,) = api.get(f"/api/explorer/users/why%40example.com/segments/{twice}/explain/")
    assert (row["label"], row["actual_value"], row["threshold"], row["matches"]) == (
        "Did explained at least 2 times in the last day",
        1,
        2,
        False,
    )
    tried = api.post("/api/explorer/sandbox/publish/", event)
    assert [entered["id"] for entered in tried["entered"]] == [twice]
    assert not is_in(api, event["user_id"], twice)()


def test_every_event_reaches_the_lookup_by_rest_and_by_kafka(connection: dict[str, Any]) -> None:
    """Each of them enters; how fast is measured by `make bench`, and only shown here."""
    for path, seconds in asyncio.run(measured(connection, count=200)).items():
        print(f"{path}: p50 {1000 * percentile(seconds, 0.5):.1f} ms, p99 {1000 * percentile(seconds, 0.99):.1f} ms")
        assert len(seconds) == 200
