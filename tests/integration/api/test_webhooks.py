"""/api/webhooks/: making, changing, trying and removing them; what is refused, and how it is said."""

import json
import socket
from typing import Any

import pytest

from services.api.use_cases.webhooks import MAX_WEBHOOKS
from tests.support.receiver import NETWORK, Receiver, receiver
from tests.support.served_api import ServedApi, fresh_api
from tests.support.servers import Servers

PUBLIC = "https://1.1.1.1/hook"


@pytest.fixture(scope="module")
def api(servers: Servers) -> Any:
    with fresh_api(servers, webhook_allowed_networks=NETWORK) as served:
        yield served


def made(api: ServedApi, **fields: Any) -> dict[str, Any]:
    answer = api.client.post("/api/webhooks/", json={"url": PUBLIC, **fields})
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()
    return webhook


def test_a_new_webhook_shows_its_secret_once(api: ServedApi) -> None:
    webhook = made(api, description="CRM")
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    path = f"/api/webhooks/{webhook['id']}/"
    assert webhook == api.get(path) == api.get("/api/webhooks/")["results"][-1]
    assert {**webhook, "id": 1, "created_at": "", "updated_at": ""} == {
        "id": 1,
        "url": PUBLIC,
        "description": "CRM",
        "is_active": True,
        "disabled_reason": None,
        "events": ["segment.recomputed"],
        "segment_ids": None,
        "last_delivered_at": None,
        "created_at": "",
        "updated_at": "",
    }
    changed = api.client.patch(path, json={**webhook, "description": "ERP"})
    assert (changed.status_code, changed.json()["description"], "secret" in changed.json()) == (200, "ERP", False)


def test_fields_that_are_left_out_stay(api: ServedApi) -> None:
    segment_id = api.segment()["id"]
    path = f"/api/webhooks/{made(api, segment_ids=[segment_id, segment_id], description='x')['id']}/"
    for method in ("PATCH", "PUT"):
        answer = api.client.request(method, path, json={"url": f"{PUBLIC}/{method}"})
        assert answer.json()["url"] == f"{PUBLIC}/{method}"
        assert (answer.json()["description"], answer.json()["segment_ids"]) == ("x", [segment_id])
    assert api.client.patch(path, json={"segment_ids": None}).json()["segment_ids"] is None


def test_a_secret_is_given_or_made_and_shown_by_the_request_that_sets_it(api: ServedApi) -> None:
    assert made(api, secret="0123456789abcdef")["secret"] == "0123456789abcdef"
    webhook = made(api)
    path = f"/api/webhooks/{webhook['id']}/"
    assert api.client.patch(path, json={"secret": "fedcba9876543210"}).json()["secret"] == "fedcba9876543210"
    rotated = api.client.patch(path, json={"secret": None}).json()["secret"]
    assert rotated.startswith("whsec_")
    assert rotated != webhook["secret"]
    assert "secret" not in api.get(path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("url", "https://127.0.0.1/", "not a public address"),
        ("url", "https://169.254.169.254/latest/meta-data/", "not a public address"),
        ("url", "http://1.1.1.1/", "over https only"),
        ("url", "https://u:p@1.1.1.1/", "user name"),
        ("url", "https://1.1.1.1/" + "x" * 2000, "2000"),
        ("url", "", "at least 1"),
        ("url", None, "string"),
        ("secret", "short", "at least 16"),
        ("secret", "x" * 257, "at most 256"),
        ("secret", "with a space in it", "pattern"),
        ("secret", "whsec_of-no-base64", "base64"),
        ("description", None, "string"),
        ("is_active", "yes", "boolean"),
        ("events", [], "at least 1"),
        ("events", ["segment.deleted"], "segment.recomputed"),
        ("segment_ids", [], "at least 1"),
        ("segment_ids", [10**17], f"segment {10**17} does not exist"),
        ("segment_ids", ["1"], "integer"),
        ("segment_ids", [1 << 63], "less than"),
    ],
)
def test_what_is_wrong_is_said_under_its_field(api: ServedApi, field: str, value: object, said: str) -> None:
    path = f"/api/webhooks/{made(api)['id']}/"
    for answer in (
        api.client.post("/api/webhooks/", json={"url": PUBLIC, field: value}),
        api.client.patch(path, json={field: value}),
    ):
        assert (answer.status_code, list(answer.json())) == (400, [field]), answer.text
        assert said in answer.json()[field][0]
    api.client.delete(path)


def test_a_url_is_required(api: ServedApi) -> None:
    answer = api.client.post("/api/webhooks/", json={"description": "x"})
    assert (answer.status_code, answer.json()) == (400, {"url": ["this field is required"]})


def test_changes_cannot_be_followed_while_the_history_is_away(api: ServedApi) -> None:
    answer = api.client.post("/api/webhooks/", json={"url": PUBLIC, "events": ["membership.changed"]})
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert answer.headers["Retry-After"]


def test_a_deleted_segment_may_stay_in_the_list_and_not_come_to_it(api: ServedApi) -> None:
    segment_id = api.segment()["id"]
    webhook = made(api, segment_ids=[segment_id])
    api.client.delete(f"/api/segments/{segment_id}/")
    path = f"/api/webhooks/{webhook['id']}/"
    assert api.client.patch(path, json={"segment_ids": [segment_id]}).status_code == 200
    answer = api.client.post("/api/webhooks/", json={"url": PUBLIC, "segment_ids": [segment_id]})
    assert (answer.status_code, list(answer.json())) == (400, ["segment_ids"])


def test_an_unknown_webhook_is_not_found(api: ServedApi) -> None:
    path = f"/api/webhooks/{made(api)['id']}/"
    assert api.client.delete(path).status_code == 204
    asked = [("GET", path), ("PATCH", path), ("PUT", path), ("DELETE", path)]
    for method, each in [*asked, ("GET", f"{path}deliveries/"), ("POST", f"{path}test/")]:
        answer = api.client.request(method, each, json={} if method[0] == "P" else None)
        assert (answer.status_code, answer.json()) == (404, {"detail": "not found"})


def test_another_tenants_webhook_is_not_found(api: ServedApi) -> None:
    async def foreign() -> int:
        async with api.wiring.database.begin_for_all() as work:
            tenant = await work.tenants.ensure("other")
            values = {"url": PUBLIC, "secret": "x" * 16, "description": "", "is_active": True, "events": ["x"]}
            return (await work.webhooks.create(tenant, **values)).id

    path = f"/api/webhooks/{api.do(foreign)}/"
    for method, each in [("GET", path), ("PATCH", path), ("DELETE", path), ("GET", f"{path}deliveries/")]:
        assert api.client.request(method, each, json={} if method == "PATCH" else None).status_code == 404


@pytest.fixture
def received() -> Any:
    with receiver() as listening:
        yield listening


def test_a_test_is_sent_at_once_signed_and_kept(api: ServedApi, received: Receiver) -> None:
    webhook = made(api, url=received.url, is_active=False)
    path = f"/api/webhooks/{webhook['id']}/"
    received.answering = lambda _: 204
    taken = api.client.post(f"{path}test/").json()
    received.answering = lambda _: 302
    refused = api.client.post(f"{path}test/").json()
    first, second = received.received
    assert [(each["status"], each["last_status"], each["attempts"]) for each in (taken, refused)] == [
        ("delivered", 204, 1),
        ("failed", 302, 1),
    ]
    assert (taken["last_error"], refused["last_error"]) == (None, "answered 302, redirects are not followed")
    assert api.get(f"{path}deliveries/")["results"] == [refused, taken]
    assert first.is_signed(webhook["secret"])
    assert first.message_id == taken["message_id"] != second.message_id
    body = json.loads(first.body)
    assert (body["event"], body["tenant_slug"], body["webhook_id"]) == ("webhook.test", "demo", webhook["id"])


def test_a_name_that_leads_elsewhere_later_is_refused_when_connecting(
    api: ServedApi, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name has a public address while it is saved, and one of this machine when it is sent to."""
    answers = ["1.1.1.1"]
    asked, real = [], socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host not in ("rebinding.example", b"rebinding.example"):
            return real(host, port, *args, **more)
        asked.append(answers[0])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[0], port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = received.url.split(":")[2].split("/")[0]
    webhook = made(api, url=f"https://rebinding.example:{port}/")
    for answers[0] in ("127.0.0.1", "169.254.169.254"):
        outcome = api.client.post(f"/api/webhooks/{webhook['id']}/test/").json()
        assert outcome["status"] == "failed"
        assert f"{answers[0]} is not a public address" in outcome["last_error"]
    assert asked == ["1.1.1.1", "127.0.0.1", "169.254.169.254"]


def test_a_receiver_over_http_outside_the_exempt_networks_is_refused_when_connecting(
    api: ServedApi, received: Receiver
) -> None:
    """It was saved when the settings exempted its network."""
    webhook = made(api, url=received.url)

    async def moved() -> None:
        async with api.wiring.database.begin_for_all() as work:
            await work.webhooks.change(webhook["id"], url=received.url.replace("127.0.0.42", "127.0.0.43"))

    api.do(moved)
    outcome = api.client.post(f"/api/webhooks/{webhook['id']}/test/").json()
    assert "127.0.0.43 is not a public address" in outcome["last_error"]


def test_proxies_of_the_environment_are_not_used(
    api: ServedApi, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    webhook = made(api, url=received.url)
    assert api.client.post(f"/api/webhooks/{webhook['id']}/test/").json()["status"] == "delivered"


def test_a_tenant_has_a_limited_number(api: ServedApi) -> None:
    while api.get("/api/webhooks/")["count"] < MAX_WEBHOOKS:
        made(api)
    answer = api.client.post("/api/webhooks/", json={"url": PUBLIC})
    assert (answer.status_code, answer.json()) == (409, {"detail": f"there are {MAX_WEBHOOKS} webhooks already"})
    page = api.get("/api/webhooks/?page_size=20&page=2")
    assert (page["count"], len(page["results"]), bool(page["next"])) == (MAX_WEBHOOKS, 20, True)
