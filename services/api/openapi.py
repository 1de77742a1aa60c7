"""The OpenAPI document: the routes, the hot paths, and the one form that errors have everywhere."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from services.api.hot import openapi as hot
from services.api.scopes import Scope, needed_scope

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


_KEY, _TOKEN = {"ApiKey": list[str]()}, {"Bearer": list[str]()}
_CREDENTIALS = {Scope.OPEN: [], Scope.MINT: [_KEY], Scope.MANAGE: [_TOKEN]}


def document(app: FastAPI, routes: Iterable[APIRoute]) -> dict[str, Any]:
    """The document, made once per app; `routes` say which credentials they take."""
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
            "description": "`ApiKey sk_...`: a secret key of the tenant; `ApiKey pk_...`: to mint a session",
        },
        "Bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "the `access` of somebody who signed in, or the `token` of a session, to send events",
        },
    }
    scopes = {
        (route.path_format, method): needed_scope(route.endpoint) for route in routes for method in route.methods or ()
    }
    for path, item in made["paths"].items():
        for method, operation in item.items():
            # the others take both: hot paths, and whatever members may
            scope = scopes.get((path, method.upper()), Scope.READ)
            operation.setdefault("security", _CREDENTIALS.get(scope, [_KEY, _TOKEN]))
            # FastAPI describes its own 422 everywhere; here validation answers 400
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _ERROR
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    return made
