"""What every route does first: who is calling and whether he may, then the body with its limits."""

from collections.abc import Callable, Coroutine, MutableMapping
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor

from services.api.auth import Authenticator, Caller
from services.api.bodies import Receive, check_json, check_media_type, header, read_body
from services.api.scopes import Scope, needed_scope

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class _Id(Convertor[int]):
    """An id in a path; anything else is another path, so that it is unknown (404), not invalid."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


# here, because routes compile their paths while their modules are imported
register_url_convertor("id", _Id())


class GuardedRoute(APIRoute):
    """A route for callers with the scope that it declares, whose body is JSON within the limits before FastAPI sees it.

    One that declares none cannot be made.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind authentication and the checks of the body. Raises LookupError without a scope."""
        handle, scope = super().get_route_handler(), needed_scope(self.endpoint)

        async def guarded(request: Request) -> Response:
            headers = request.scope["headers"]
            if scope is not Scope.OPEN:
                authenticator: Authenticator = request.app.state.wiring.authenticator
                request.scope["caller"] = await authenticator.admit(headers, scope)
            if request.method not in _WITH_BODY:
                return await handle(request)
            body = await read_body(request.receive)
            if body:
                check_media_type(header(headers, b"content-type"))
                check_json(body)
            return await handle(Request(request.scope, _replay(body, request.receive)))

        return guarded


def _replay(body: bytes, rest: Receive) -> Receive:
    """The body, and after it what the server tells: that the client has left."""
    given = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["caller"]
    return caller


CallerOf = Annotated[Caller, Depends(_caller)]


class JsonAnswer(Response):
    """JSON made by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return msgspec.json.encode(content)
