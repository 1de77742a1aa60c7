"""Signing in: pairs of tokens, each refresh once, a limit of attempts; and what becomes of logins."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.callers import (
    PASSWORD,
    TOKEN,
    USERS,
    Tenant,
    ask,
    new_login,
    new_tenant,
    pair,
    signed_in,
)
from tests.support.evaluators import wait_for
from tests.support.served_api import ServedApi, served_api

REFRESH = "/api/auth/token/refresh/"
SEGMENTS = "/api/segments/"
HOLDS_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def tenant(api: ServedApi) -> Tenant:
    return new_tenant(api, "signs-in")


def sign_in(api: ServedApi, email: str, password: str = PASSWORD) -> Any:
    return ask(api, "POST", TOKEN, None, {"email": email, "password": password})


def refreshed(api: ServedApi, token: str) -> Any:
    return ask(api, "POST", REFRESH, None, {"refresh": token})


def test_an_e_mail_in_any_case_and_its_password_are_answered_with_a_pair(api: ServedApi, tenant: Tenant) -> None:
    answer = sign_in(api, f" {tenant.email('OWNER')} ".title())
    assert (answer.status_code, set(answer.json())) == (200, {"access", "refresh"})
    bearer = f"Bearer {answer.json()['access']}"
    assert ask(api, "GET", USERS, bearer).status_code == 200
    made = ask(api, "POST", SEGMENTS, bearer, {"name": "mine", "definition": {"logic": "AND", "conditions": []}})
    assert made.status_code == 400  # an empty definition: the caller was let in
    with pytest.raises(KeyError):
        _ = sign_in(api, tenant.email("owner"), "wrong password").json()["access"]


def test_no_answer_tells_whether_there_is_such_an_e_mail(api: ServedApi, tenant: Tenant) -> None:
    answers = [sign_in(api, tenant.email(name), "wrong password") for name in ("owner", "nobody")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}


def test_ten_attempts_and_the_right_password_is_not_looked_at(api: ServedApi, tenant: Tenant) -> None:
    new_login(api, tenant, "guessed", "viewer")
    with ThreadPoolExecutor(6) as pool:
        attempts = [pool.submit(sign_in, api, tenant.email("guessed"), "a guess") for _ in range(12)]
    codes = [attempt.result().status_code for attempt in attempts]
    assert sorted(codes) == [401] * 10 + [429] * 2
    limited = sign_in(api, tenant.email("guessed"))
    assert limited.status_code == 429
    assert 1 <= int(limited.headers["Retry-After"]) <= 900

    async def later() -> None:
        async with api.wiring.database.connect() as connection:
            await connection.execute(text("update sign_in_attempts set since = since - interval '16 minutes'"))

    api.do(later)
    assert sign_in(api, tenant.email("guessed")).status_code == 200


def test_a_successful_attempt_forgets_the_others(api: ServedApi, tenant: Tenant) -> None:
    new_login(api, tenant, "forgetful", "viewer")
    for _ in range(3):
        for _ in range(4):
            assert sign_in(api, tenant.email("forgetful"), "a guess").status_code == 401
        assert sign_in(api, tenant.email("forgetful")).status_code == 200


def test_a_refresh_token_works_once_and_a_second_time_ends_its_family(api: ServedApi, tenant: Tenant) -> None:
    first = pair(api, tenant.email("owner"))
    other = pair(api, tenant.email("owner"))
    second = refreshed(api, first["refresh"])
    assert second.status_code == 200
    assert ask(api, "GET", SEGMENTS, f"Bearer {second.json()['access']}").status_code == 200
    assert refreshed(api, first["refresh"]).status_code == 401
    assert refreshed(api, second.json()["refresh"]).status_code == 401
    assert refreshed(api, other["refresh"]).status_code == 200, "another sign-in is another family"


def test_two_who_bring_a_refresh_token_at_once_are_not_both_served(api: ServedApi, tenant: Tenant) -> None:
    token = pair(api, tenant.email("owner"))["refresh"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refreshed(api, token), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    (served,) = (answer for answer in answers if answer.status_code == 200)
    assert refreshed(api, served.json()["refresh"]).status_code == 401


@pytest.mark.parametrize("token", ["", "rt_unknown", "x" * 256])
def test_a_refresh_token_that_is_none_is_refused(api: ServedApi, token: str) -> None:
    assert refreshed(api, token).status_code == 401


def test_an_expired_refresh_token_is_refused(api: ServedApi, tenant: Tenant) -> None:
    token = pair(api, tenant.email("owner"))["refresh"]

    async def expire() -> None:
        async with api.wiring.database.connect() as connection:
            await connection.execute(text("update refresh_tokens set expires_at = now() - interval '1 s'"))

    api.do(expire)
    assert refreshed(api, token).status_code == 401


def test_what_an_access_token_is_worth_ends_within_seconds_in_every_process(api: ServedApi, tenant: Tenant) -> None:
    login_id = new_login(api, tenant, "leaves", "member")
    signed = pair(api, tenant.email("leaves"))
    bearer = f"Bearer {signed['access']}"
    with served_api(api.wiring.settings) as second:
        for each in (api, second):
            assert ask(each, "POST", SEGMENTS, bearer, {"name": "before"}).status_code == 201
        path = f"{USERS}{login_id}/"
        assert ask(api, "PATCH", path, tenant.owner, {"role": "viewer"}).json()["role"] == "viewer"
        assert ask(api, "POST", SEGMENTS, bearer, {"name": "after"}).status_code == 403
        _await_status(second, bearer, "POST", 403)
        assert ask(api, "PATCH", path, tenant.owner, {"is_active": False}).json()["is_active"] is False
        assert ask(api, "GET", SEGMENTS, bearer).status_code == 401
        _await_status(second, bearer, "GET", 401)
    assert refreshed(api, signed["refresh"]).status_code == 401
    assert sign_in(api, tenant.email("leaves")).status_code == 401


def _await_status(api: ServedApi, bearer: str, method: str, status: int) -> None:
    def is_so() -> bool:
        body = {"name": "after"} if method == "POST" else None
        return bool(ask(api, method, SEGMENTS, bearer, body).status_code == status)

    wait_for(is_so, HOLDS_WITHIN_S, f"{method} is answered with {status}")


def test_a_new_password_ends_what_the_old_one_began(api: ServedApi, tenant: Tenant) -> None:
    login_id = new_login(api, tenant, "renewed", "viewer")
    before = pair(api, tenant.email("renewed"))
    changed = ask(api, "PATCH", f"{USERS}{login_id}/", tenant.owner, {"password": "another long password"})
    assert changed.status_code == 200
    assert "password" not in changed.text
    assert refreshed(api, before["refresh"]).status_code == 401
    assert sign_in(api, tenant.email("renewed")).status_code == 401
    assert sign_in(api, tenant.email("renewed"), "another long password").status_code == 200


def test_the_last_owner_stays(api: ServedApi) -> None:
    tenant = new_tenant(api, "owned")
    (owner,) = ask(api, "GET", USERS, tenant.owner).json()["results"]
    second = new_login(api, tenant, "second", "owner")
    path = f"{USERS}{owner['id']}/"
    for change in ({"is_active": False}, {"role": "admin"}):
        assert ask(api, "PATCH", f"{USERS}{second}/", tenant.owner, {"is_active": False}).status_code == 200
        refused = ask(api, "PATCH", path, tenant.owner, change)
        assert (refused.status_code, list(refused.json())) == (409, ["detail"])
        assert ask(api, "PATCH", f"{USERS}{second}/", tenant.owner, {"is_active": True}).status_code == 200
    bearer = signed_in(api, tenant.email("second"))
    headers = {owner["id"]: tenant.owner, second: bearer}
    for _ in range(10):  # each takes it from the other at once: one of them stays
        for header in headers.values():
            assert ask(api, "GET", USERS, header).status_code == 200  # both are known: neither is read first
        with ThreadPoolExecutor(2) as pool:
            changes = {
                of: pool.submit(ask, api, "PATCH", f"{USERS}{of}/", by, {"role": "viewer"})
                for of, by in ((second, tenant.owner), (owner["id"], bearer))
            }
        codes = {of: change.result().status_code for of, change in changes.items()}
        assert sorted(codes.values()) in ([200, 403], [200, 409])
        (demoted,) = (of for of, code in codes.items() if code == 200)
        (stayed,) = set(headers) - {demoted}
        assert ask(api, "PATCH", f"{USERS}{demoted}/", headers[stayed], {"role": "owner"}).status_code == 200


def test_an_admin_manages_everybody_but_owners(api: ServedApi, tenant: Tenant) -> None:
    new_login(api, tenant, "admin", "admin")
    admin = tenant._replace(owner=signed_in(api, tenant.email("admin")))
    made = new_login(api, admin, "made-by-admin", "admin")
    assert ask(api, "PATCH", f"{USERS}{made}/", admin.owner, {"role": "viewer"}).status_code == 200
    assert ask(api, "PATCH", f"{USERS}{made}/", admin.owner, {"role": "owner"}).status_code == 403
    body = {"email": tenant.email("x"), "password": PASSWORD, "role": "owner"}
    assert ask(api, "POST", USERS, admin.owner, body).status_code == 403
    owner = next(each for each in ask(api, "GET", USERS, admin.owner).json()["results"] if each["role"] == "owner")
    changed = ask(api, "PATCH", f"{USERS}{owner['id']}/", admin.owner, {"password": "taken over by an admin"})
    assert changed.status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no e-mail"}, "email"),
        ({"password": "short"}, "password"),
        ({"role": "king"}, "role"),
    ],
)
def test_what_no_login_can_be_is_refused_by_name(
    api: ServedApi, tenant: Tenant, change: dict[str, str], field: str
) -> None:
    body = {"email": tenant.email("new"), "password": PASSWORD, "role": "viewer"} | change
    answer = ask(api, "POST", USERS, tenant.owner, body)
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_an_e_mail_is_taken_for_all_tenants(api: ServedApi, tenant: Tenant) -> None:
    other = new_tenant(api, "other")
    body = {"email": tenant.email("owner").upper(), "password": PASSWORD, "role": "viewer"}
    assert ask(api, "POST", USERS, other.owner, body).status_code == 409
