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

PATIENCE_S = 30


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


def counted(value: int, **window: float) -> dict[str, Any]:
    return {"type": "event_count", "event_type": "bought", "operator": "gte", "value": value} | window


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


def test_every_event_reaches_the_lookup_by_rest_and_by_kafka(connection: dict[str, Any]) -> None:
    """Each of them enters; how fast is measured by `make bench`, and only shown here."""
    for path, seconds in asyncio.run(measured(connection, count=200)).items():
        print(f"{path}: p50 {1000 * percentile(seconds, 0.5):.1f} ms, p99 {1000 * percentile(seconds, 0.99):.1f} ms")
        assert len(seconds) == 200
