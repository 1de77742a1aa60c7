"""Every part down: each answer says so and when to try again, and nothing hangs."""

import time

import httpx

from services.api.app import create_app
from services.api.bodies import MAX_BODY_BYTES
from services.api.settings import ApiSettings
from services.api.wiring import Wiring
from tests.support.served_api import KEY, TOKEN_SECRET, ServedApi


async def test_a_part_that_is_down_is_told_with_when_to_retry() -> None:
    nowhere = {
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "redis_url": "redis://127.0.0.1:1",
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "history": "/nowhere",
        "exports": "/nowhere",
        "bootstrap_key": KEY,
        "token_secret": TOKEN_SECRET,
    }
    settings = ApiSettings.model_validate(nowhere)
    wiring = Wiring(settings)
    wiring.authenticator.belongs_to(1, "demo")
    transport = httpx.ASGITransport(create_app(settings, wiring))
    headers = {"Authorization": f"ApiKey {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        for method, path, body in (
            ("POST", "/api/ingestion/track/", {"user_id": "u", "event_type": "a"}),
            ("POST", "/api/ingestion/track/batch/", {"events": [{"user_id": "u", "event_type": "a"}]}),
            ("GET", "/api/segments/membership/?user_id=u", None),
            ("POST", "/api/segments/membership/batch/", {"user_ids": ["u"]}),
            ("GET", "/api/segments/", None),
            ("POST", "/api/segments/1/compute/", None),
            ("GET", "/api/explorer/users/u/segments/", None),
            ("GET", "/api/explorer/users/u/segments/1/explain/", None),
            ("POST", "/api/explorer/sandbox/publish/", {"user_id": "u", "event_type": "a"}),
        ):
            started_s = time.monotonic()
            answer = await client.request(method, path, json=body)
            assert time.monotonic() - started_s < 5
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
            assert list(answer.json()) == ["detail"]
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert set(ready.json()["parts"]) == {"postgres", "kafka", "redis", "relay"}
        assert "ok" not in ready.json()["parts"].values()
    await wiring.stop()


def test_a_client_that_sends_too_much_gets_its_answer(api: ServedApi) -> None:
    for path in ("/api/segments/", "/api/ingestion/track/"):
        for size in (MAX_BODY_BYTES + 1, 2 * MAX_BODY_BYTES):
            answer = api.client.post(path, content=b" " * size, headers={"Content-Type": "application/json"})
            assert (answer.status_code, list(answer.json())) == (413, ["detail"])
    assert api.get("/api/segments/")["results"] == []
