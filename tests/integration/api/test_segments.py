"""Segments, their versions and exports over HTTP."""

import json
import re
from typing import Any

import pytest

from services.api.definitions import MAX_DEFINITION_BYTES
from tests.support.served_api import ServedApi

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z")
ORDERS = {
    "logic": "AND",
    "conditions": [
        {"type": "event_count", "event_type": "order", "operator": "gte", "value": 2, "window_days": 7},
    ],
}
RECENT = {
    "logic": "OR",
    "conditions": [{"type": "recency", "event_type": "login", "operator": "lt", "window_hours": 1.5}],
}


def test_a_new_segment_is_a_draft_with_its_definition_as_version_one(api: ServedApi) -> None:
    segment = api.segment(ORDERS, name="Buyers", description="who bought")
    assert segment.pop("warnings") == []
    created = {key: segment.pop(key) for key in ("id", "tenant", "created_at", "updated_at")}
    assert segment == {
        "name": "Buyers",
        "description": "who bought",
        "segment_type": "rule",
        "definition": ORDERS,
        "version": 1,
        "active_version": None,
        "is_active": True,
        "status": "draft",
        "status_detail": "",
        "member_count": 0,
        "last_computed_at": None,
    }
    assert isinstance(created["id"], int)
    assert TIME.fullmatch(created["created_at"])
    assert api.get(f"/api/segments/{created['id']}/") == {**segment, **created}


def test_a_segment_without_definition_has_version_zero(api: ServedApi) -> None:
    segment = api.segment(segment_type="lookalike")
    assert (segment["version"], segment["definition"], segment["segment_type"]) == (0, None, "lookalike")
    assert api.get(f"/api/segments/{segment['id']}/versions/")["results"] == []


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_definition_that_differs_is_a_new_version(api: ServedApi, method: str) -> None:
    segment = api.segment(ORDERS)
    path = f"/api/segments/{segment['id']}/"
    reordered = json.loads(json.dumps(ORDERS, sort_keys=True))
    assert api.client.request(method, path, json={"definition": reordered}).json()["version"] == 1
    changed = api.client.request(method, path, json={**segment, "definition": RECENT, "name": "other"}).json()
    assert (changed["version"], changed["definition"], changed["name"]) == (2, RECENT, "other")
    assert changed["updated_at"] > segment["updated_at"]
    assert (changed["status"], changed["active_version"]) == ("draft", None)
    versions = api.get(path + "versions/")
    assert [(one["version"], one["definition"], one["active"]) for one in versions["results"]] == [
        (2, RECENT, False),
        (1, ORDERS, False),
    ]
    assert all(one["created_by"] and TIME.fullmatch(one["created_at"]) for one in versions["results"])


def test_a_definition_is_never_removed(api: ServedApi) -> None:
    path = f"/api/segments/{api.segment(ORDERS)['id']}/"
    assert list(api.client.patch(path, json={"definition": None}).json()) == ["definition"]
    empty = f"/api/segments/{api.segment()['id']}/"
    assert api.client.put(empty, json=api.get(empty)).status_code == 200


def test_a_deleted_segment_is_gone_and_its_id_with_it(api: ServedApi) -> None:
    segment_id = api.segment(ORDERS)["id"]
    path = f"/api/segments/{segment_id}/"
    answer = api.client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, below in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "versions/"), ("POST", "compute/")):
        answer = api.client.request(method, path + below, json={} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()) == (404, {"detail": "not found"})
    assert api.segment()["id"] > segment_id


def test_the_list_is_paged_and_narrowed(api: ServedApi) -> None:
    made = [api.segment(name=f"100%_list {n}", description="Zebra" if n == 2 else "")["id"] for n in range(5)]
    page = api.get("/api/segments/?q=100%25_LIST&page_size=2")
    assert (page["count"], page["previous"], [one["id"] for one in page["results"]]) == (5, None, made[:2])
    second = api.client.get(page["next"]).json()
    third = api.client.get(second["next"]).json()
    assert [one["id"] for one in second["results"] + third["results"]] == made[2:]
    assert third["next"] is None
    assert api.client.get(third["previous"]).json() == second
    assert [one["id"] for one in api.get("/api/segments/?q=zebra")["results"]] == [made[2]]
    assert api.get("/api/segments/?q=100%25_list&status=computed")["count"] == 0
    assert api.get("/api/segments/?q=100%25_list&status=draft&segment_type=rule")["count"] == 5
    assert api.get("/api/segments/?q=100%25_list&segment_type=ai")["count"] == 0
    assert api.client.get("/api/segments/?page=1000").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=99999999999999999999", "page"),
        ("page_size=0", "page_size"),
        ("page_size=501", "page_size"),
        ("status=done", "status"),
        ("segment_type=x", "segment_type"),
        ("q=%00", "q"),
    ],
)
def test_a_bad_list_request_names_the_parameter(api: ServedApi, query: str, field: str) -> None:
    answer = api.client.get("/api/segments/?" + query)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"name": "n", "description": 1}, "description"),
        ({"name": "n", "segment_type": "x"}, "segment_type"),
        ({"name": "n", "tenant": 10**12}, "tenant"),
        ({"name": "n", "tenant": "other"}, "tenant"),
        ({"name": "n", "tenant": {}}, "tenant"),
        ({"name": "n", "is_active": "yes"}, "is_active"),
        ({"name": "n", "definition": []}, "definition"),
        ({"name": "n", "definition": "x"}, "definition"),
        ({"name": "n", "definition": {"logic": "XOR", "conditions": []}}, "definition"),
    ],
)
def test_a_bad_segment_names_the_field(api: ServedApi, method: str, body: dict[str, Any], field: str) -> None:
    path = "/api/segments/" if method == "POST" else f"/api/segments/{api.segment()['id']}/"
    answer = api.client.request(method, path, json=body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == [field]
    assert all(isinstance(message, str) for message in answer.json()[field])


def test_each_fault_of_a_definition_comes_with_its_path(api: ServedApi) -> None:
    bad = {"logic": "AND", "conditions": [{**ORDERS["conditions"][0], "operator": "about", "value": -1}]}  # type: ignore[dict-item]
    messages = api.client.post("/api/segments/", json={"name": "n", "definition": bad}).json()["definition"]
    assert {message.split(":")[0] for message in messages} == {"$.conditions[0].operator", "$.conditions[0].value"}


def test_a_definition_fits_a_message_of_commands(api: ServedApi) -> None:
    condition = {"type": "monetary", "event_type": "order", "metric": "sum", "operator": "gt", "value": 1}
    condition["property"] = "p" * MAX_DEFINITION_BYTES
    body = {"name": "n", "definition": {"logic": "AND", "conditions": [condition]}}
    answer = api.client.post("/api/segments/", json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["definition"])


def test_a_tenant_is_named_by_id_or_slug(api: ServedApi) -> None:
    tenant = api.segment()["tenant"]
    assert api.segment(tenant=tenant)["tenant"] == tenant
    assert api.segment(tenant="demo")["tenant"] == tenant


def test_an_inactive_segment_can_be_made(api: ServedApi) -> None:
    segment = api.segment(ORDERS, is_active=False)
    assert segment["is_active"] is False
    assert api.client.post(f"/api/segments/{segment['id']}/compute/").status_code == 409
