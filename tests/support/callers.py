"""Tenants with everybody who may call for them."""

from typing import Any, NamedTuple

from services.api.auth import Caller
from services.api.scopes import OF_ROLE
from services.api.use_cases import logins
from tests.support.served_api import ServedApi

PASSWORD = "correct horse battery staple"
USERS = "/api/auth/users/"
KEYS = "/api/auth/api-keys/"
TOKEN = "/api/auth/token/"
SESSION = "/api/auth/session/"
TRACK = "/api/ingestion/track/"


class Tenant(NamedTuple):
    """A tenant and its owner."""

    id: int
    slug: str
    owner: str
    """The value of the header `Authorization`."""

    def email(self, name: str) -> str:
        """Somebody's e-mail, unlike that of others of this name."""
        return f"{name}@{self.slug}.example"


def ask(api: ServedApi, method: str, path: str, authorization: str | None, body: Any = None, **more: Any) -> Any:
    """The answer for a caller."""
    headers = more.pop("headers", {}) | ({} if authorization is None else {"Authorization": authorization})
    return api.without_key.request(method, path, headers=headers, json=body, **more)


def new_tenant(api: ServedApi, slug: str) -> Tenant:
    """A tenant as the operator makes it: with an owner."""

    async def made() -> Tenant:
        password_hash = await api.wiring.passwords.hashed(PASSWORD)
        async with api.wiring.database.begin_for_all() as work:
            tenant = Tenant(await work.tenants.ensure(slug), slug, "")
            operator = Caller(tenant.id, slug, "operator", OF_ROLE["owner"])
            await logins.create(work, operator, tenant.email("owner"), password_hash, "owner")
            return tenant

    tenant = api.do(made)
    return tenant._replace(owner=signed_in(api, tenant.email("owner")))


def signed_in(api: ServedApi, email: str) -> str:
    """The header of somebody who signs in."""
    return f"Bearer {pair(api, email)['access']}"


def pair(api: ServedApi, email: str) -> dict[str, str]:
    """What signing in answers."""
    answer = ask(api, "POST", TOKEN, None, {"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def new_login(api: ServedApi, tenant: Tenant, name: str, role: str) -> int:
    """Somebody who may sign in."""
    body = {"email": tenant.email(name), "password": PASSWORD, "role": role}
    answer = ask(api, "POST", USERS, tenant.owner, body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def new_key(api: ServedApi, tenant: Tenant, kind: str = "secret", **more: Any) -> dict[str, Any]:
    """A key, with what is shown once."""
    answer = ask(api, "POST", KEYS, tenant.owner, {"name": "a key", "type": kind, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def minted(api: ServedApi, public_key: str, **body: Any) -> str:
    """The header of a session."""
    answer = ask(api, "POST", SESSION, f"ApiKey {public_key}", body)
    assert answer.status_code == 200, answer.text
    return f"Bearer {answer.json()['token']}"
