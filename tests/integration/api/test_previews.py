"""Previews and estimates over HTTP, from a history beside a real Kafka."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.archived_log import archive
from tests.support.served_api import ServedApi, fresh_api
from tests.support.servers import Servers

PREVIEW = "/api/segments/preview/"
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a history that is still empty."""
    return str(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def api(servers: Servers, history: str) -> Iterator[ServedApi]:
    """An api with a history; its tests share both."""
    with fresh_api(servers, history=history) as served:
        yield served


def count(event_type: str, value: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": event_type, "operator": "gte", "value": value, **more}


def group(*conditions: dict[str, Any], logic: str = "AND") -> dict[str, Any]:
    return {"logic": logic, "conditions": list(conditions)}


def track(api: ServedApi, *events: dict[str, Any]) -> None:
    for some in itertools.batched(events, 500) if hasattr(itertools, "batched") else [events]:
        answer = api.client.post("/api/ingestion/track/batch/", json={"events": list(some)})
        assert (answer.status_code, answer.json()["queued"]) == (202, len(some)), answer.text


def preview(api: ServedApi, definition: Any, **more: Any) -> Any:
    answer = api.client.post(PREVIEW, json={"definition": definition, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_smoke(api: ServedApi, servers: Servers, history: str) -> None:
    print(preview(api, group(count("order"))))
    track(api, *({"user_id": f"u{n}", "event_type": "order"} for n in range(5)))
    print(preview(api, group(count("order"))))
    archive(servers, history)
    print(preview(api, group(count("order"))))
    print(api.get("/api/explorer/users/"))
    print(api.get("/api/explorer/users/u1/"))
    print(api.get("/api/explorer/users/u1/events/"))
    made = api.segment(group(count("order")))
    print(api.client.post(f"/api/segments/{made['id']}/estimate/").json())
