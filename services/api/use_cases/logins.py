"""Making and changing logins: who of a tenant may sign in, and as what."""

from typing import Any, NamedTuple

from services.api.auth import Caller
from services.api.database import UnitOfWork
from services.api.errors import Conflict, NotFound
from services.api.repository.logins import LoginRow
from services.api.scopes import Role, Scope


class LoginChange(NamedTuple):
    """What a request says about a login; None says nothing."""

    role: Role | None = None
    is_active: bool | None = None
    password_hash: str | None = None


async def create(work: UnitOfWork, caller: Caller, email: str, password_hash: str, role: Role) -> LoginRow:
    """A new login of the caller's tenant. Raises Conflict for an e-mail that is taken; Forbidden, see `change`."""
    if role == "owner":
        caller.check(Scope.OWN)
    login_id = await work.logins.create(caller.tenant, email, password_hash, role, caller.name)
    if login_id is None:
        raise Conflict("a user with this e-mail exists already")
    return await find(work, caller, login_id)


async def change(work: UnitOfWork, caller: Caller, login_id: int, change: LoginChange) -> LoginRow:
    """Change what the request names.

    Raises:
        NotFound: for another tenant's, too.
        Forbidden: only owners make owners and change them.
        Conflict: the tenant would be left without an active owner.
    """
    # two who take the role from each other wait for each other
    await work.tenants.lock(caller.tenant)
    login = await find(work, caller, login_id)
    if "owner" in (login.role, change.role):
        caller.check(Scope.OWN)
    values: dict[str, Any] = {field: value for field, value in change._asdict().items() if value is not None}
    changed = login._replace(**values)
    stays = changed.role == "owner" and changed.is_active
    if not stays and await work.logins.active_owners(caller.tenant) == {login_id}:
        raise Conflict("the last active owner of a tenant stays: make another one first")
    if values:
        await work.logins.change(login_id, **values)
    if not changed.is_active or change.password_hash is not None:
        await work.logins.end_refresh_tokens(login_id)
    return changed


async def find(work: UnitOfWork, caller: Caller, login_id: int) -> LoginRow:
    """The caller's login. Raises NotFound for an unknown and another tenant's one."""
    login = await work.logins.get(login_id)
    if login is None or login.tenant_id != caller.tenant:
        raise NotFound
    return login
