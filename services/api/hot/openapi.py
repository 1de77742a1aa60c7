"""The hot paths in the OpenAPI document: FastAPI does not know them."""

from typing import Any

from services.api.hot.lookups import MAX_SEGMENTS, MAX_USER_ID_CHARS, MAX_USERS
from shared.contracts.event import MAX_BATCH

_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": "integer", "minimum": 1}
_IDS = {"type": "array", "items": _ID}
_USER_ID = {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID_CHARS}
_POSITION = {
    "anyOf": [{"type": "string"}, {"type": "null"}],
    "description": "for `after` of a lookup; null when nothing was stored, or nobody knows just now which log it is in",
}
_AFTER = {"type": "string", "description": "the position of a write: wait up to 2 s until it shows"}
_FRESH = {"type": "boolean", "description": "present with `after`: whether that write shows in this answer"}

EVENT = {
    "type": "object",
    "required": ["user_id", "event_type"],
    "properties": {
        "user_id": _USER_ID,
        "event_type": {"type": "string", "minLength": 1, "maxLength": 128},
        "occurred_at": {"type": "string", "description": "a time, at most 1 h ahead; left out: when it is received"},
        "payload": {"type": "object", "description": "at most 32 KiB of JSON, 16 levels deep"},
        "event_id": {"type": "string", "maxLength": 128, "description": "the same id within 24 h counts once"},
        "anonymous_id": {"type": "string"},
    },
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(summary: str, tag: str, status: int, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": [tag],
        "responses": {str(status): {"description": "Success", **_json(answer)}},
        **more,
    }


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def paths() -> dict[str, Any]:
    """The path items of the hot paths."""
    return {
        "/api/segments/membership/": {"get": _lookup()},
        "/api/segments/membership/batch/": {"post": _lookup_batch()},
        "/api/ingestion/track/": {"post": _track()},
        "/api/ingestion/track/batch/": {"post": _track_batch()},
    }


def _lookup() -> dict[str, Any]:
    answer = _object(
        user_id=_USER_ID,
        segment_ids=_IDS,
        cached={"type": "boolean", "const": True},
        as_of=_TIME,
        next_change_at={"anyOf": [_TIME, {"type": "null"}]},
    )
    answer["properties"]["fresh"] = _FRESH
    answer["properties"]["stale"] = {"type": "boolean", "description": "present when the answer is the last known"}
    parameters = [
        _parameter("user_id", _USER_ID, required=True),
        _parameter("segment_id", _IDS, required=False),
        _parameter("after", _AFTER, required=False),
    ]
    return _operation("The segments a user is in now", "delivery", 200, answer, parameters=parameters)


def _lookup_batch() -> dict[str, Any]:
    users = {"type": "array", "items": _USER_ID, "minItems": 1, "maxItems": MAX_USERS}
    body = {
        "type": "object",
        "required": ["user_ids"],
        "properties": {"user_ids": users, "segment_ids": {**_IDS, "maxItems": MAX_SEGMENTS}, "after": _AFTER},
    }
    result = _object(user_id=_USER_ID, segment_ids=_IDS)
    answer = _object(results={"type": "array", "items": result}, as_of=_TIME)
    answer["properties"]["fresh"] = _FRESH
    request = {"required": True, **_json(body)}
    return _operation("The segments that many users are in now", "delivery", 200, answer, requestBody=request)


def _track() -> dict[str, Any]:
    answer = _object(queued={"type": "boolean"}, position=_POSITION)
    request = {"required": True, **_json(EVENT)}
    return _operation("Store one event", "ingestion", 202, answer, requestBody=request)


def _track_batch() -> dict[str, Any]:
    body = _object(events={"type": "array", "items": EVENT, "minItems": 1, "maxItems": MAX_BATCH})
    error = _object(index={"type": "integer"}, detail={"type": "string"})
    number = {"type": "integer"}
    answer = _object(queued=number, skipped=number, errors={"type": "array", "items": error}, position=_POSITION)
    request = {"required": True, **_json(body)}
    return _operation("Store up to 500 events", "ingestion", 202, answer, requestBody=request)
