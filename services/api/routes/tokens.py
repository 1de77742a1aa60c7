"""/api/auth/token/: sign in, and stay so."""

from fastapi import APIRouter
from fastapi.responses import Response

from services.api import auth_schemas as schemas
from services.api.guarded_route import GuardedRoute, JsonAnswer
from services.api.scopes import Scope, needs
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["auth"])


@router.post("/api/auth/token/", response_model=schemas.TokenPair)
@needs(Scope.OPEN)
async def sign_in(wiring: WiringOf, body: schemas.SignInBody) -> Response:
    """An access token for 60 minutes, and a refresh token for the next pair.

    401 for an unknown e-mail as for a wrong password. 429 after ten attempts within 15 minutes.
    """
    return JsonAnswer((await wiring.sign_in.with_password(body.email, body.password))._asdict())


@router.post("/api/auth/token/refresh/", response_model=schemas.TokenPair)
@needs(Scope.OPEN)
async def refresh(wiring: WiringOf, body: schemas.RefreshBody) -> Response:
    """The next pair. Each refresh token works once: a second time ends all that came from the same sign-in."""
    return JsonAnswer((await wiring.sign_in.refresh(body.refresh))._asdict())
