"""The hot paths, which bypass the framework, behave as the rest of the api does."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.api.bodies import MAX_BODY_BYTES
from services.api.hot.dispatcher import Dispatcher

COLD = ("POST", "/api/segments/")
HOT = [
    ("GET", "/api/segments/membership/"),
    ("POST", "/api/segments/membership/batch/"),
    ("POST", "/api/ingestion/track/"),
    ("POST", "/api/ingestion/track/batch/"),
]
WITH_BODY = [COLD, *(path for path in HOT if path[0] == "POST")]
JSON = {"Content-Type": "application/json"}


def shown(answer: httpx.Response) -> tuple[int, object, dict[str, str]]:
    """What a client sees: status, body and all headers but the length."""
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() != "content-length"}
    return answer.status_code, answer.json(), headers


@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("path", HOT)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "ApiKey", "ApiKey sk_wrong_0123456789abcdef", "Bearer sk_unit_0123456789abcdef", "ApiKey \xff"],
)
async def test_callers_nobody_knows(
    client: httpx.AsyncClient, path: tuple[str, str], slash: str, authorization: str | None
) -> None:
    del client.headers["Authorization"]
    headers = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]
    cold = await client.request(*COLD, headers=headers)
    hot = await client.request(path[0], path[1].removesuffix("/") + slash, headers=headers)
    assert shown(hot) == shown(cold)
    assert hot.status_code == 401
    assert hot.headers["WWW-Authenticate"].startswith("ApiKey")
    assert list(hot.json()) == ["detail"]


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=latin-1", 415),
        ("application/json", 400),
        ("Application/JSON; charset=UTF-8", 400),
        ("application/vnd.api+json", 400),
    ],
)
async def test_media_types(
    client: httpx.AsyncClient, path: tuple[str, str], content_type: str | None, status: int
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await client.request(*path, content=b"[]", headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert shown(answer) == shown(await client.request(*COLD, content=b"[]", headers=headers))


@pytest.mark.parametrize("path", WITH_BODY)
async def test_a_body_is_counted_while_it_is_read(client: httpx.AsyncClient, path: tuple[str, str]) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * (1024 * 1024)

    answer = await client.request(*path, content=endless(), headers=JSON)
    assert (answer.status_code, list(answer.json())) == (413, ["detail"])
    assert answer.headers["connection"] == "close"
    assert sent == 4 * MAX_BODY_BYTES // (1024 * 1024) + 1
    full = b'{"name": ""}'.ljust(MAX_BODY_BYTES)
    assert (await client.request(*path, content=full, headers=JSON)).status_code == 400
    assert (await client.request(*path, content=full + b" ", headers=JSON)).status_code == 413


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xff", b'{"a": NaN}', b"[" * 100_000])
async def test_what_is_no_json_is_a_bad_request(client: httpx.AsyncClient, path: tuple[str, str], body: bytes) -> None:
    answer = await client.request(*path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert len(answer.json()) == 1


@pytest.mark.parametrize("path", [*HOT, COLD])
async def test_other_methods_are_told_what_is_allowed(client: httpx.AsyncClient, path: tuple[str, str]) -> None:
    allowed = {"GET", "POST"} if path == COLD else {path[0]}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        if method in allowed:
            continue
        answer = await client.request(method, path[1])
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == allowed
        if method != "HEAD":
            assert answer.json() == {"detail": f"method {method} is not allowed here"}


async def test_a_fault_of_ours_shows_no_trace(
    client: httpx.AsyncClient, app: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("services.api.hot.lookups.parse_query", broken)
    hot = await client.get("/api/segments/membership/?user_id=u")
    assert shown(hot)[:2] == (500, {"detail": "internal error"})
    monkeypatch.setattr("services.api.database.Database.begin", broken)
    cold = await client.get("/api/segments/")
    assert shown(cold) == shown(hot)


async def test_the_hot_paths_are_in_the_openapi_document_like_the_others(client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/openapi.json")).json()
    for method, path in [*HOT, COLD]:
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}]
        assert operation["responses"]["default"] == document["paths"]["/api/segments/"]["post"]["responses"]["default"]
        assert "422" not in operation["responses"]
        assert operation["tags"]
        assert operation["summary"]
        if method == "POST":
            assert operation["requestBody"]["content"]["application/json"]["schema"]
