"""/api/auth/api-keys/: the keys of the caller's tenant."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from services.api import auth_schemas as schemas
from services.api.errors import Invalid
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import given_time, text_of
from services.api.pages import PageOf
from services.api.repository.api_keys import ApiKeyRow
from services.api.scopes import Scope, needs
from services.api.use_cases import api_keys as use_cases
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["auth"])


@router.get("/api/auth/api-keys/", response_model=schemas.ApiKeyPage)
@needs(Scope.MANAGE)
async def list_keys(wiring: WiringOf, caller: CallerOf, page: PageOf) -> Response:
    """The keys, without their secrets, by id; revoked ones are gone."""
    async with wiring.database.begin(caller.tenant) as work:
        count, rows = await work.api_keys.page(caller.tenant, page.offset, page.limit)
    return JsonAnswer(page.answer(count, [_answer(row) for row in rows]))


@router.post("/api/auth/api-keys/", status_code=201, response_model=schemas.NewApiKey)
@needs(Scope.MANAGE)
async def create_key(wiring: WiringOf, caller: CallerOf, body: schemas.ApiKeyBody) -> Response:
    """A new key. `key`, and `hmac_secret` of a public one, are in this answer and nowhere else."""
    if body.tenant_slug not in (None, caller.slug):
        raise Invalid({"tenant_slug": ["must be the caller's tenant"]})
    expires_at_us = None if body.expires_at is None else given_time("expires_at", body.expires_at)
    wished = use_cases.WishedKey(body.name, body.type, body.allowed_origins, body.require_signed_user_id, expires_at_us)
    async with wiring.database.begin(caller.tenant) as work:
        made = await use_cases.create(work, caller, wished, wiring.clock.now_us())
    secrets = {"key": made.key} | ({"hmac_secret": made.hmac_secret.hex()} if made.hmac_secret else {})
    return JsonAnswer(_answer(made.row) | secrets, 201)


@router.get("/api/auth/api-keys/{key_id:id}/", response_model=schemas.ApiKey)
@needs(Scope.MANAGE)
async def get_key(wiring: WiringOf, caller: CallerOf, key_id: int) -> Response:
    """One key, without its secrets."""
    async with wiring.database.begin(caller.tenant) as work:
        return JsonAnswer(_answer(await use_cases.find(work, caller, key_id)))


@router.delete("/api/auth/api-keys/{key_id:id}/", status_code=204, response_class=Response)
@needs(Scope.MANAGE)
async def revoke_key(wiring: WiringOf, caller: CallerOf, key_id: int) -> Response:
    """Revoke a key for ever: within 5 seconds it is unknown everywhere, and the sessions minted with it are too."""
    async with wiring.database.begin(caller.tenant) as work:
        digest = await use_cases.revoke(work, caller, key_id)
    wiring.authenticator.forget_key(key_id, digest)
    return Response(status_code=204)


def _answer(row: ApiKeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "type": row.type,
        "tenant": row.tenant_id,
        "allowed_origins": row.allowed_origins,
        "require_signed_user_id": row.require_signed_user_id,
        "created_by": row.created_by,
        "created_at": text_of(row.created_at),
        "last_used_at": text_of(row.last_used_at),
        "expires_at": text_of(row.expires_at),
    }
