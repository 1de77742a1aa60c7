"""What the tests of previews, estimates and users share."""

from typing import Any

from tests.support.evaluators import wait_for
from tests.support.served_api import PATIENCE_S, ServedApi

PREVIEW = "/api/segments/preview/"


def count(event_type: str, value: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": event_type, "operator": "gte", "value": value, **more}


def group(*conditions: dict[str, Any], logic: str = "AND") -> dict[str, Any]:
    return {"logic": logic, "conditions": list(conditions)}


def track(api: ServedApi, *events: dict[str, Any]) -> None:
    """Store up to 500 events."""
    answer = api.client.post("/api/ingestion/track/batch/", json={"events": events})
    assert (answer.status_code, answer.json()["queued"]) == (202, len(events)), answer.text


def preview(api: ServedApi, *conditions: dict[str, Any], **more: Any) -> Any:
    """The answer for those of whom all conditions hold."""
    answer = api.client.post(PREVIEW, json={"definition": group(*conditions), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def event(user_id: str, event_type: str = "order", **more: Any) -> dict[str, Any]:
    return {"user_id": user_id, "event_type": event_type, **more}


def computed(api: ServedApi, definition: dict[str, Any], **fields: Any) -> int:
    """A segment that is computed; an evaluator is at work."""
    segment_id = api.segment(definition, **fields)["id"]
    path = f"/api/segments/{segment_id}/compute/"
    assert api.client.post(path).status_code == 202
    wait_for(lambda: api.get(path)["status"] == "computed", PATIENCE_S, "the segment is computed")
    return int(segment_id)
