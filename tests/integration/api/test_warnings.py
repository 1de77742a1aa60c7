"""Warnings of definitions over HTTP: there with every answer to a save, and never an error."""

from typing import Any

import httpx
import pytest

from tests.support.served_api import ServedApi

COUNT = {"type": "event_count", "event_type": "order", "operator": "gte", "value": 2}
NEVER = {"path": "$", "message": "the definition is never true: nobody is ever a member"}


def all_of(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"logic": "AND", "conditions": list(conditions)}


def counted(value: int) -> dict[str, Any]:
    """A definition that no other test saves."""
    return all_of(COUNT | {"value": value})


def path(segment: dict[str, Any], below: str = "") -> str:
    return f"/api/segments/{segment['id']}/{below}"


def warnings(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["warnings"]
    return found


def test_every_answer_to_a_save_has_warnings_and_no_other_has(api: ServedApi) -> None:
    segment = api.segment()
    assert segment["warnings"] == []
    assert api.segment(counted(10))["warnings"] == []
    for method in ("PATCH", "PUT"):
        for body in ({"name": "other"}, {"definition": counted(11)}, {"is_active": False}):
            assert warnings(api.client.request(method, path(segment), json=body)) == []
    assert warnings(api.client.post(path(segment, "versions/1/restore/"))) == []
    assert "warnings" not in api.get(path(segment))
    assert "warnings" not in api.get("/api/segments/")["results"][0]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_what_is_never_true_is_saved_with_a_warning(api: ServedApi, method: str) -> None:
    never = all_of(COUNT, COUNT | {"operator": "lt", "value": 1, "window_days": 7}, COUNT | {"negate": True})
    segment = api.segment(never)
    assert NEVER in segment["warnings"]
    # it says nothing new, but the request has given it
    assert NEVER in warnings(api.client.request(method, path(segment), json={"definition": never}))
    assert warnings(api.client.request(method, path(segment), json={"name": "renamed"})) == []
    assert warnings(api.client.request(method, path(segment), json={"definition": counted(20)})) == []
    assert NEVER in warnings(api.client.post(path(segment, "versions/1/restore/")))
    assert api.client.delete(path(segment)).status_code == 204


def test_what_keeps_much_of_a_user_is_told(api: ServedApi) -> None:
    wide = COUNT | {"value": 3_000, "window_days": 30}
    (warning,) = api.segment(all_of(COUNT, wide))["warnings"]
    assert warning["path"] == "$.conditions[1]"
    assert warning["message"].startswith("keeps up to 27 KiB of a user")


def test_a_segment_that_says_the_same_is_named(api: ServedApi) -> None:
    first = api.segment(all_of(COUNT | {"value": 30}, COUNT | {"event_type": "view"}), name='Bought "much"')
    same = {"path": "$", "message": f'says the same as segment {first["id"]} "Bought "much""'}
    respelt = all_of(COUNT | {"event_type": "view"}, all_of(COUNT | {"value": 29, "operator": "gt"}))
    second = api.segment(respelt)
    assert second["warnings"] == [same]
    assert api.segment(respelt)["warnings"] == [same]
    assert warnings(api.client.patch(path(first), json={"definition": respelt})) == [
        {"path": "$", "message": f'says the same as segment {second["id"]} "segment"'}
    ]
    assert warnings(api.client.patch(path(second), json={"definition": counted(31)})) == []
    assert warnings(api.client.post(path(second, "versions/1/restore/"))) == [same]


def test_only_newest_versions_of_segments_that_are_there_are_compared(api: ServedApi) -> None:
    changed, deleted = api.segment(counted(40)), api.segment(counted(41))
    api.client.patch(path(changed), json={"definition": counted(42)})
    api.client.delete(path(deleted))
    assert [api.segment(counted(value))["warnings"] for value in (40, 41)] == [[], []]
    assert len(api.segment(counted(42))["warnings"]) == 1


def test_a_saved_answer_can_be_sent_back(api: ServedApi) -> None:
    segment = api.segment(counted(50))
    assert warnings(api.client.put(path(segment), json=segment | {"name": "other"})) == []
    assert api.get(path(segment))["version"] == 1


def test_the_openapi_document_has_the_warnings(api: ServedApi) -> None:
    paths = api.get("/api/openapi.json")["paths"]
    restore = "/api/segments/{segment_id}/versions/{version}/restore/"
    for place, method in (("/api/segments/", "post"), ("/api/segments/{segment_id}/", "patch"), (restore, "post")):
        answers = paths[place][method]["responses"]
        schema = answers["201" if place == "/api/segments/" else "200"]["content"]["application/json"]["schema"]
        assert schema["$ref"].endswith("/SavedSegment")
