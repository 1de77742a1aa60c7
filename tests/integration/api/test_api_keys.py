"""Keys: shown once, known everywhere until they are revoked or expire; and the sessions of public ones."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from segops import sign_user_id
from sqlalchemy import text

from shared.contracts.topics import EVENTS
from tests.support.callers import KEYS, SESSION, TRACK, Tenant, ask, minted, new_key, new_tenant
from tests.support.evaluators import wait_for
from tests.support.served_api import PARTITIONS, PATIENCE_S, ServedApi, next_messages, reading, served_api
from tests.support.servers import Servers

SEGMENTS = "/api/segments/"
SECRETS = {"key", "hmac_secret"}
HOLDS_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def tenant(api: ServedApi) -> Tenant:
    return new_tenant(api, "has-keys")


def session(api: ServedApi, key: str, body: dict[str, Any], **headers: str) -> Any:
    return ask(api, "POST", SESSION, f"ApiKey {key}", body, headers=headers)


def test_a_key_is_shown_once(api: ServedApi, tenant: Tenant) -> None:
    secret = new_key(api, tenant, tenant_slug=tenant.slug)
    public = new_key(api, tenant, "public", allowed_origins=["https://shop.example"], require_signed_user_id=True)
    assert secret["key"].startswith("sk_")
    assert public["key"].startswith("pk_")
    assert (SECRETS & set(secret), len(bytes.fromhex(public["hmac_secret"]))) == ({"key"}, 32)
    listed = ask(api, "GET", f"{KEYS}?page_size=500", tenant.owner)
    for made in (secret, public):
        shown = {name: value for name, value in made.items() if name not in SECRETS}
        assert shown in listed.json()["results"]
        assert ask(api, "GET", f"{KEYS}{made['id']}/", tenant.owner).json() == shown
        assert made["key"] not in listed.text
    assert public["hmac_secret"] not in listed.text

    async def stored() -> str:
        async with api.wiring.database.connect() as connection:
            rows = await connection.execute(text("select k::text from api_keys k"))
            return " ".join(row[0] for row in rows)

    everything = api.do(stored)
    assert secret["key"] not in everything
    assert hashlib.sha256(secret["key"].encode()).hexdigest() in everything


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "secret"}, "name"),
        ({"name": "x"}, "type"),
        ({"name": "x", "type": "other"}, "type"),
        ({"name": "x", "type": "secret", "tenant_slug": "another"}, "tenant_slug"),
        ({"name": "x", "type": "secret", "allowed_origins": ["https://x.example"]}, "allowed_origins"),
        ({"name": "x", "type": "secret", "require_signed_user_id": True}, "require_signed_user_id"),
        ({"name": "x", "type": "public", "allowed_origins": ["https://x.example/"]}, "allowed_origins"),
        ({"name": "x", "type": "public", "allowed_origins": ["*"]}, "allowed_origins"),
        ({"name": "x", "type": "secret", "expires_at": "2020-01-01"}, "expires_at"),
        ({"name": "x", "type": "secret", "expires_at": "soon"}, "expires_at"),
    ],
)
def test_what_no_key_can_be_is_refused_by_name(
    api: ServedApi, tenant: Tenant, body: dict[str, Any], field: str
) -> None:
    answer = ask(api, "POST", KEYS, tenant.owner, body)
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_a_key_works_until_it_expires(api: ServedApi, tenant: Tenant) -> None:
    expiry = datetime.now(UTC) + timedelta(seconds=3)
    key = new_key(api, tenant, expires_at=expiry.isoformat())
    header = f"ApiKey {key['key']}"
    assert ask(api, "GET", SEGMENTS, header).status_code == 200
    wait_for(lambda: ask(api, "GET", SEGMENTS, header).status_code == 401, 30, "the key has expired")
    assert datetime.now(UTC) >= expiry - timedelta(seconds=1)


def await_known(api: ServedApi, header: str) -> None:
    """A slow machine may have no connection to PostgreSQL yet, and answer 503."""
    wait_for(lambda: ask(api, "GET", SEGMENTS, header).status_code == 200, PATIENCE_S, "the key is known")


def test_a_revoked_key_is_unknown_within_seconds_in_every_process(api: ServedApi, tenant: Tenant) -> None:
    secret, public = new_key(api, tenant), new_key(api, tenant, "public")
    header, bearer = f"ApiKey {secret['key']}", minted(api, public["key"], user_id="ada")
    event = {"user_id": "x", "event_type": "looked"}
    with served_api(api.wiring.settings) as second:
        for each in (api, second):
            await_known(each, header)
            assert ask(each, "POST", TRACK, bearer, event).status_code == 202
        for key in (secret, public):
            assert ask(api, "DELETE", f"{KEYS}{key['id']}/", tenant.owner).status_code == 204
            assert ask(api, "DELETE", f"{KEYS}{key['id']}/", tenant.owner).status_code == 404
            assert ask(api, "GET", f"{KEYS}{key['id']}/", tenant.owner).status_code == 404
        assert ask(api, "GET", SEGMENTS, header).status_code == 401
        assert ask(api, "POST", TRACK, bearer, event).status_code == 401
        assert session(api, public["key"], {"user_id": "ada"}).status_code == 401

        def is_unknown() -> bool:
            answers = ask(second, "GET", SEGMENTS, header), ask(second, "POST", TRACK, bearer, event)
            return all(answer.status_code == 401 for answer in answers)

        wait_for(is_unknown, HOLDS_WITHIN_S, "key and session are unknown to the other process")


def test_the_last_use_of_a_key_is_noted_now_and_then(api: ServedApi, tenant: Tenant) -> None:
    key = new_key(api, tenant)
    assert key["last_used_at"] is None
    path = f"{KEYS}{key['id']}/"
    ask(api, "GET", SEGMENTS, f"ApiKey {key['key']}")
    noted = ask(api, "GET", path, tenant.owner).json()["last_used_at"]
    assert noted is not None
    api.wiring.authenticator.forget_key(key["id"], hashlib.sha256(key["key"].encode()).digest())
    ask(api, "GET", SEGMENTS, f"ApiKey {key['key']}")
    assert ask(api, "GET", path, tenant.owner).json()["last_used_at"] == noted


def test_versions_are_signed_with_the_name_of_the_key(api: ServedApi, tenant: Tenant) -> None:
    key = new_key(api, tenant, name="of the shop")
    condition = {"type": "event_count", "event_type": "a", "operator": "gte", "value": 1}
    body = {"name": "signed", "definition": {"logic": "AND", "conditions": [condition]}}
    made = ask(api, "POST", SEGMENTS, f"ApiKey {key['key']}", body)
    assert made.json()["tenant"] == tenant.id
    versions = ask(api, "GET", f"{SEGMENTS}{made.json()['id']}/versions/", tenant.owner).json()["results"]
    assert [version["created_by"] for version in versions] == ["key of the shop"]


def test_a_session_stores_events_of_its_user_whatever_they_say(
    servers: Servers, api: ServedApi, tenant: Tenant
) -> None:
    key = new_key(api, tenant, "public")["key"]
    answer = session(api, key, {"user_id": "ada@example.org", "anonymous_id": "browser-1"})
    assert (answer.status_code, answer.json()["uid"]) == (200, "ada@example.org")
    life = datetime.fromisoformat(answer.json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < life < timedelta(minutes=16)
    bearer = f"Bearer {answer.json()['token']}"
    event = {"user_id": "somebody else", "event_type": "spoken-for"}
    assert ask(api, "POST", TRACK, bearer, event).status_code == 202
    batch = ask(api, "POST", f"{TRACK}batch/", bearer, {"events": [event, {**event, "user_id": "a third"}]})
    assert (batch.status_code, batch.json()["queued"]) == (202, 2)
    found: list[tuple[str, int]] = []
    with reading(servers, EVENTS, range(PARTITIONS)) as consumer:
        while len(found) < 3:
            stored = json.loads(next_messages(consumer, 1)[0].value() or b"")
            if stored["event_type"] == "spoken-for":
                found.append((stored["user_id"], stored["tenant"]))
    assert found == [("ada@example.org", tenant.id)] * 3


@pytest.mark.parametrize("origin", [None, "https://evil.example", "https://shop.example.evil.example", "null"])
def test_sessions_are_minted_from_allowed_origins_only(api: ServedApi, tenant: Tenant, origin: str | None) -> None:
    key = new_key(api, tenant, "public", allowed_origins=["https://shop.example", "http://localhost:3000"])["key"]
    headers = {} if origin is None else {"Origin": origin}
    assert session(api, key, {"user_id": "ada"}, **headers).status_code == 403
    for allowed in ("https://shop.example", "http://localhost:3000"):
        assert session(api, key, {"user_id": "ada"}, Origin=allowed).status_code == 200


def test_a_signed_user_id_is_that_of_the_tenants_server(api: ServedApi, tenant: Tenant) -> None:
    key = new_key(api, tenant, "public", require_signed_user_id=True)
    signed: dict[str, Any] = sign_user_id(key["hmac_secret"], "ada|é")
    assert session(api, key["key"], signed).json()["uid"] == "ada|é"
    now_s = signed["user_id_ts"]
    other = new_key(api, tenant, "public", require_signed_user_id=True)
    for wrong in (
        {"user_id": "ada"},
        {**signed, "user_id": "eve"},
        {**signed, "user_id_ts": now_s - 1},
        {**signed, "user_id_sig": None},
        {**signed, "user_id_sig": ""},
        {**signed, "user_id_sig": "é" * 64},
        {**signed, "user_id_ts": None},
        sign_user_id(other["hmac_secret"], "ada"),
        sign_user_id(key["hmac_secret"], "ada", now_s - 400),
        sign_user_id(key["hmac_secret"], "ada", now_s + 400),
    ):
        assert session(api, key["key"], wrong).status_code == 403, wrong
    mac = hmac.new(key["hmac_secret"].encode(), f"ada|{now_s}".encode(), hashlib.sha256).hexdigest()
    not_decoded = {"user_id": "ada", "user_id_sig": mac, "user_id_ts": now_s}
    assert session(api, key["key"], not_decoded).status_code == 403


def test_where_user_ids_are_signed_nobody_gets_one_by_calling_it_anonymous(api: ServedApi, tenant: Tenant) -> None:
    signing = new_key(api, tenant, "public", require_signed_user_id=True)["key"]
    open_to_all = new_key(api, tenant, "public")["key"]
    assert session(api, signing, {"anonymous_id": "ada"}).json()["uid"] == "anonymous:ada"
    assert session(api, open_to_all, {"anonymous_id": "ada"}).json()["uid"] == "ada"
    wrong = {"user_id": "ada", "user_id_sig": "0" * 64, "user_id_ts": 0}
    assert session(api, open_to_all, wrong).status_code == 403, "a signature that is given is checked"
    nobody = session(api, open_to_all, {})
    assert (nobody.status_code, list(nobody.json())) == (400, ["user_id"])


def test_known_keys_work_on_while_the_database_is_away(
    api: ServedApi, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = (f"ApiKey {new_key(api, tenant)['key']}" for _ in range(2))
    event = {"user_id": "ada", "event_type": "looked"}
    assert ask(api, "POST", TRACK, known, event).status_code == 202
    engine = api.wiring.database._engine
    with monkeypatch.context() as away:
        # a pool that gives no connection
        away.setattr(api.wiring.database, "_engine", _Away())
        assert ask(api, "POST", TRACK, unknown, event).status_code == 503
        assert ask(api, "POST", TRACK, known, event).status_code == 202
    assert api.wiring.database._engine is engine
    wait_for(lambda: ask(api, "POST", TRACK, unknown, event).status_code == 202, 10, "the key is read")


class _Away:
    def begin(self) -> Any:
        raise OSError("away")
