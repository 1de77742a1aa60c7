"""FastAPI's own faults in the form of the public API: no 422, no 500 with a trace."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from services.api.bodies import Disconnected
from services.api.database import DatabaseUnavailable
from services.api.errors import ApiError, BadRequest, InternalError, Invalid, MethodNotAllowed, NotFound, Unavailable
from services.api.guarded_route import JsonAnswer

_CLIENT_LEFT = 499
"""For the metrics: nobody sees the answer."""

_log = logging.getLogger(__name__)


def install(app: FastAPI, routes: list[APIRoute]) -> None:
    """Answer every fault in the form of the public API; `routes` say which methods a path knows."""

    def answer(error: ApiError) -> Response:
        return JsonAnswer(error.body, error.status, error.headers)

    async def api_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return answer(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(_invalid(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            return answer(MethodNotAllowed(request.method, _methods(routes, request.scope["path"])))
        if error.status_code == 404:
            return answer(NotFound())
        return answer(ApiError(error.status_code, {"detail": error.detail}, error.headers))

    async def unavailable(request: Request, error: Exception) -> Response:
        _log.warning("%s %s: PostgreSQL does not answer: %s", request.method, request.scope["path"], error)
        return answer(Unavailable("the database does not answer"))

    async def left(_: Request, __: Exception) -> Response:
        return Response(status_code=_CLIENT_LEFT)

    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
        return answer(InternalError())

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DatabaseUnavailable, unavailable)
    app.add_exception_handler(Disconnected, left)
    app.add_exception_handler(Exception, unexpected)


def _methods(routes: list[APIRoute], path: str) -> list[str]:
    return sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})


def _invalid(error: RequestValidationError) -> ApiError:
    fields: dict[str, list[str]] = {}
    for fault in error.errors():
        place = fault["loc"]
        if len(place) < 2 or not isinstance(place[1], str):
            return BadRequest("a JSON object is required as the body")
        fields.setdefault(place[1], []).append(_message(fault))
    return Invalid(fields)


def _message(fault: dict[str, Any]) -> str:
    text = "this field is required" if fault["type"] == "missing" else str(fault["msg"])
    return text[:1].lower() + text[1:]
