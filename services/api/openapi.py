"""The OpenAPI document: the routes, the hot paths, and the one form that errors have everywhere."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api.hot import openapi as hot

_ERROR = {
    "description": "What is wrong: `detail`, or the messages by field",
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}},
                    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
                ]
            }
        }
    },
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once per app."""
    made = get_openapi(
        title="Shoal",
        version="1",
        summary="Which segments is a user in, and who is in a segment: at any instant",
        routes=app.routes,
    )
    made["paths"].update(hot.paths())
    made["paths"] = dict(sorted(made["paths"].items()))
    components = made.setdefault("components", {})
    components["securitySchemes"] = {
        "ApiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`ApiKey sk_...`: a secret key of the tenant",
        }
    }
    for item in made["paths"].values():
        for operation in item.values():
            operation.setdefault("security", [{"ApiKey": []}])
            # FastAPI describes its own 422 everywhere; here validation answers 400
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _ERROR
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    return made
