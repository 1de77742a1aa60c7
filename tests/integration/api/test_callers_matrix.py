"""Every route for every kind of caller: who is let in is what the public contract says, whatever the code declares."""

import re
from typing import NamedTuple

import pytest
from sqlalchemy import text

from services.api.app import all_routes, hot_paths
from tests.support.callers import KEYS, Tenant, ask, minted, new_key, new_login, new_tenant, signed_in
from tests.support.served_api import KEY, ServedApi

ROLES = ("viewer", "member", "admin", "owner")
MEMBERS = {"member", "admin", "owner", "secret key", "bootstrap key"}
OPEN = {"/livez/", "/readyz/", "/metrics/", "/api/docs/", "/api/openapi.json/", "/api/auth/token/"} | {
    "/api/auth/token/refresh/"
}
READING = ("GET", "HEAD")
READING_POSTS = re.compile(r"/(preview|estimate|membership/batch|sandbox/publish)/$")
UNKNOWN = ("nobody", "wrong key", "revoked key", "expired key", "no token")
NO_SUCH_ID = "999999"


class Route(NamedTuple):
    """A route with its path as it is declared."""

    method: str
    path: str

    def at(self, ids: str) -> str:
        """Its path with these ids of things; users are called `ada`."""
        return re.sub(r"\{\w+\}", ids, self.path.replace("{user_id}", "ada"))

    @property
    def has_ids(self) -> bool:
        """Whether it is about one thing of a tenant."""
        return "_id}" in self.path.replace("{user_id}", "")


class Everybody(NamedTuple):
    """The headers of all callers of one tenant."""

    tenant: Tenant
    callers: dict[str, str | None]


def everybody(api: ServedApi, slug: str) -> Everybody:
    """A tenant with one caller of each kind."""
    tenant = new_tenant(api, slug)
    callers: dict[str, str | None] = {"nobody": None, "wrong key": "ApiKey sk_" + "x" * 43, "no token": "Bearer x.y.z"}
    for role in ROLES[:-1]:
        new_login(api, tenant, role, role)
        callers[role] = signed_in(api, tenant.email(role))
    keys = {name: new_key(api, tenant) for name in ("secret key", "revoked key", "expired key")}
    public_key = new_key(api, tenant, "public")["key"]
    callers |= {name: f"ApiKey {key['key']}" for name, key in keys.items()}
    callers |= {"owner": tenant.owner, "public key": f"ApiKey {public_key}"}
    callers["session"] = minted(api, public_key, user_id="ada")
    assert ask(api, "DELETE", f"{KEYS}{keys['revoked key']['id']}/", tenant.owner).status_code == 204

    async def expire() -> None:
        async with api.wiring.database.connect() as connection:
            expired = text("update api_keys set expires_at = now() - interval '1 s' where id = :id")
            await connection.execute(expired, {"id": keys["expired key"]["id"]})

    api.do(expire)
    return Everybody(tenant, callers)


def may(caller: str, route: Route) -> bool:
    """The contract's table."""
    if route.path.startswith("/api/auth/session/"):
        return caller == "public key"
    if route.path.startswith("/api/auth/"):
        return caller in ("admin", "owner")
    if route.path.startswith("/api/ingestion/"):
        return caller in MEMBERS | {"session"}
    if route.method in READING or READING_POSTS.search(route.path):
        return caller in MEMBERS | {"viewer"}
    return caller in MEMBERS


@pytest.fixture(scope="module")
def one(api: ServedApi) -> Everybody:
    return everybody(api, "one")


@pytest.fixture(scope="module")
def routes(api: ServedApi) -> list[Route]:
    cold = [Route(method, route.path_format) for route in all_routes() for method in route.methods or ()]
    return cold + [Route(hot.method, hot.path) for hot in hot_paths(api.wiring)]


def expected(caller: str, route: Route) -> set[int]:
    """What is answered to a request without a body, about a thing that is not there."""
    if route.path in OPEN:
        return {200, 503} if route.method == "GET" else {400}
    if caller in UNKNOWN:
        return {401}
    if not may(caller, route):
        return {403}
    if route.has_ids:
        # before or after what is asked is found not to be there, what is missing of the request may be
        return {404} if route.method in {*READING, "DELETE"} else {404, 400}
    # 503: no evaluator has written memberships
    return {200, 404, 400, 503} if route.method in READING else {400}


def test_every_caller_gets_what_the_contract_says_on_every_route(
    api: ServedApi, one: Everybody, routes: list[Route]
) -> None:
    assert len(routes) > 30
    faults = []
    for route in routes:
        for caller, authorization in {**one.callers, "bootstrap key": f"ApiKey {KEY}"}.items():
            answer = ask(api, route.method, route.at(NO_SUCH_ID), authorization)
            if answer.status_code not in expected(caller, route):
                faults.append(f"{route.method} {route.path} for {caller}: {answer.status_code} {answer.text[:100]}")
            if answer.status_code == 401 and "Bearer" not in answer.headers.get("WWW-Authenticate", ""):
                faults.append(f"{route.method} {route.path} for {caller}: says not how to authenticate")
    assert faults == []


def test_what_is_another_tenants_is_unknown_to_every_caller(
    api: ServedApi, one: Everybody, routes: list[Route]
) -> None:
    others = everybody(api, "two")
    segment_id = ask(api, "POST", "/api/segments/", one.tenant.owner, {"name": "of one"}).json()["id"]
    webhook = {"url": "https://8.8.8.8/never-asked", "events": ["segment.recomputed"]}
    owned = {
        "segment_id": segment_id,
        "export_id": ask(api, "POST", f"/api/segments/{segment_id}/export/", one.tenant.owner).json()["id"],
        "webhook_id": ask(api, "POST", "/api/webhooks/", one.tenant.owner, webhook).json()["id"],
        "key_id": new_key(api, one.tenant)["id"],
        "login_id": new_login(api, one.tenant, "somebody", "viewer"),
    }
    faults = []
    asked = set()
    for route in routes:
        named = set(re.findall(r"\{(\w+_id)\}", route.path)) - {"user_id"}
        if not named & set(owned):
            continue
        path = route.path.format_map(
            {**dict.fromkeys(named, NO_SUCH_ID), **owned, "user_id": "ada", "version": 1, "name": "x"}
        )
        asked |= named
        for caller, authorization in others.callers.items():
            answer = ask(api, route.method, path, authorization, {} if route.method == "PATCH" else None)
            wanted = 401 if caller in UNKNOWN else 404 if may(caller, route) else 403
            if answer.status_code not in {wanted, 400 if wanted == 404 and route.method in ("PUT", "POST") else wanted}:
                faults.append(f"{route.method} {path} for {caller}: {answer.status_code} {answer.text[:100]}")
    assert faults == []
    assert asked >= set(owned)
    # and nothing has become of it
    for path in (f"/api/segments/{segment_id}/", f"{KEYS}{owned['key_id']}/", f"/api/webhooks/{owned['webhook_id']}/"):
        assert ask(api, "GET", path, one.tenant.owner).status_code == 200


def test_the_only_routes_without_credentials_are_these(routes: list[Route], api: ServedApi) -> None:
    document = api.get("/api/openapi.json")["paths"]
    shown_open = {path for path, item in document.items() for operation in item.values() if not operation["security"]}
    assert shown_open == {path for path in OPEN if path in document}
    assert {route.path for route in routes} >= OPEN
