"""Paths, bodies and the docs page, as far as they need no server."""

import re

import httpx
import pytest


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/",
        "/api/nothing/",
        "/api/segments/x/",
        "/api/segments/-1/",
        "/api/segments/1/2/",
        "/api/segments/" + "9" * 19 + "/",
        "/api/segments/" + "9" * 5000 + "/",
        "/api/segments%2F1/",
        "/api/segments/1%2Fversions/",
        "/api/segments/previews/",
        "/api/segments//membership/",
        "/api/auth/",
        "/docs",
        "/openapi.json",
    ],
)
async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "not found"})


@pytest.mark.parametrize("path", ["/livez", "/livez/", "/metrics", "/api/docs", "/api/docs/", "/api/openapi.json"])
async def test_what_is_open_needs_no_key_and_no_slash(client: httpx.AsyncClient, path: str) -> None:
    del client.headers["Authorization"]
    assert (await client.get(path)).status_code == 200


async def test_the_same_path_without_the_last_slash_is_no_redirect(client: httpx.AsyncClient) -> None:
    for path in ("/api/segments", "/api/segments/"):
        answer = await client.post(path, json={})
        assert (answer.status_code, answer.json()) == (400, {"name": ["this field is required"]})


async def test_the_docs_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/docs/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.findall(r"https?://|src=|<link|@import", answer.text) == []
    assert '"/api/openapi.json"' in answer.text


async def test_every_reference_of_the_openapi_document_leads_somewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/openapi.json")
    schemas = set(answer.json()["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/(\w+)"', answer.text)) == schemas


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a\\u0000b"}',
        b'{"name": "a", "definition": {"\\u0000": 1}}',
        b'{"name": "\\ud800"}',
        b'{"name": 1e999}',
        b'{"name": "a", "definition": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"name": "a"} {}',
        b'{"name": "\xc3\x28"}',
    ],
)
async def test_json_that_cannot_be_kept_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/segments/", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


@pytest.mark.parametrize("levels", [1, 30, 31])
async def test_thirty_two_levels_of_json_are_enough_and_allowed(client: httpx.AsyncClient, levels: int) -> None:
    body = b'{"name": "", "x": ' + b"[" * levels + b"1" + b"]" * levels + b"}"
    answer = await client.post("/api/segments/", content=body, headers={"Content-Type": "application/json"})
    assert list(answer.json()) == ["name"]
    deeper = b'{"name": "", "x": ' + b"[" * 32 + b"]" * 32 + b"}"
    answer = await client.post("/api/segments/", content=deeper, headers={"Content-Type": "application/json"})
    assert answer.json() == {"detail": "the body is nested deeper than 32 levels"}


async def test_requests_are_counted_by_the_pattern_of_their_route(client: httpx.AsyncClient) -> None:
    await client.get("/api/segments/12345/versions/?page=0")
    await client.get("/api/segments/membership/")
    text = (await client.get("/metrics")).text
    assert '{method="GET",route="/api/segments/{segment_id}/versions/",status="400"}' in text
    assert '{method="GET",route="/api/segments/membership/",status="400"}' in text
    assert "/12345/" not in text  # the digits alone may be those of an instant


async def test_looking_into_a_user_is_documented(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/api/openapi.json")).json()["paths"]
    explain = paths["/api/explorer/users/{user_id}/segments/{segment_id}/explain/"]["get"]
    assert {parameter["name"] for parameter in explain["parameters"]} == {"user_id", "segment_id", "verbose"}
    assert len(explain["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]) == 2
    body = paths["/api/explorer/sandbox/publish/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["user_id", "event_type"]
    assert "get" in paths["/api/explorer/users/{user_id}/segments/"]
