"""/api/auth/session/: tokens that browsers send events with."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api import auth_schemas as schemas
from services.api.errors import Unauthorized
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of_us
from services.api.scopes import Scope, needs
from services.api.use_cases import sessions as use_cases
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["auth"])


@router.post("/api/auth/session/", response_model=schemas.Session)
@needs(Scope.MINT)
async def mint_session(request: Request, wiring: WiringOf, caller: CallerOf, body: schemas.SessionBody) -> Response:
    """A token for 15 minutes that stores events of the one user it names, asked for with a public key.

    403 for an origin that the key does not allow, and for a user id that is signed wrong, or not signed where it must.
    """
    now_us = wiring.clock.now_us()
    async with wiring.database.begin(caller.tenant) as work:
        key = None if caller.key_id is None else await work.api_keys.get(caller.key_id)
    if key is None:
        raise Unauthorized  # revoked meanwhile
    wished = use_cases.Wished(**body.model_dump())
    user_id = use_cases.user_of(key, wished, request.headers.get("origin"), now_us)
    token, expires_at_us = wiring.tokens.session(key.id, user_id)
    return JsonAnswer({"token": token, "expires_at": text_of_us(expires_at_us), "uid": user_id})
