"""/api/auth/users/: who of the caller's tenant may sign in."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from services.api import auth_schemas as schemas
from services.api.guarded_route import CallerOf, GuardedRoute, JsonAnswer
from services.api.instants import text_of
from services.api.pages import PageOf
from services.api.repository.logins import LoginRow
from services.api.scopes import Scope, needs
from services.api.use_cases import logins as use_cases
from services.api.wiring import WiringOf

router = APIRouter(route_class=GuardedRoute, tags=["auth"])


@router.get("/api/auth/users/", response_model=schemas.LoginPage)
@needs(Scope.MANAGE)
async def list_logins(wiring: WiringOf, caller: CallerOf, page: PageOf) -> Response:
    """Those who may sign in, and those who may not any more, by id."""
    async with wiring.database.begin(caller.tenant) as work:
        count, rows = await work.logins.page(caller.tenant, page.offset, page.limit)
    return JsonAnswer(page.answer(count, [_answer(row) for row in rows]))


@router.post("/api/auth/users/", status_code=201, response_model=schemas.Login)
@needs(Scope.MANAGE)
async def create_login(wiring: WiringOf, caller: CallerOf, body: schemas.LoginBody) -> Response:
    """Let somebody sign in. 409 if the e-mail is taken; owners are made by owners only."""
    password_hash = await wiring.passwords.hashed(body.password)
    async with wiring.database.begin(caller.tenant) as work:
        made = await use_cases.create(work, caller, body.email, password_hash, body.role)
    return JsonAnswer(_answer(made), 201)


@router.get("/api/auth/users/{login_id:id}/", response_model=schemas.Login)
@needs(Scope.MANAGE)
async def get_login(wiring: WiringOf, caller: CallerOf, login_id: int) -> Response:
    """One of them."""
    async with wiring.database.begin(caller.tenant) as work:
        return JsonAnswer(_answer(await use_cases.find(work, caller, login_id)))


@router.patch("/api/auth/users/{login_id:id}/", response_model=schemas.Login)
@needs(Scope.MANAGE)
async def change_login(wiring: WiringOf, caller: CallerOf, login_id: int, body: schemas.LoginChangeBody) -> Response:
    """Give another role or password, or end it with `is_active: false`: within 5 seconds its tokens are worth nothing.

    409 for the last active owner; owners are changed by owners only.
    """
    password_hash = None if body.password is None else await wiring.passwords.hashed(body.password)
    change = use_cases.LoginChange(body.role, body.is_active, password_hash)
    async with wiring.database.begin(caller.tenant) as work:
        changed = await use_cases.change(work, caller, login_id, change)
    wiring.authenticator.forget_login(login_id)
    return JsonAnswer(_answer(changed))


def _answer(row: LoginRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "tenant": row.tenant_id,
        "role": row.role,
        "is_active": row.is_active,
        "created_by": row.created_by,
        "created_at": text_of(row.created_at),
    }
