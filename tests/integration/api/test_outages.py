"""Every part down: each answer says so and when to try again, and nothing hangs."""

import socketserver
import threading
import time

import httpx
import pytest

from deploy.local.ports import HOST
from services.api.app import create_app
from services.api.bodies import MAX_BODY_BYTES
from services.api.database import Database, DatabaseUnavailable
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


@pytest.mark.parametrize("sqlstate", ["57P03", "53300"])
async def test_a_database_that_lets_nobody_in_yet_is_an_outage_and_no_defect(sqlstate: str) -> None:
    class Refusing(socketserver.BaseRequestHandler):
        """PostgreSQL while it starts, or when all its connections are taken."""

        def handle(self) -> None:
            while self.request.recv(4096)[4:8] == b"\x04\xd2\x16\x2f":  # asks for TLS
                self.request.sendall(b"N")
            said = f"SFATAL\0C{sqlstate}\0Mnot now\0\0".encode()
            self.request.sendall(b"E" + (len(said) + 4).to_bytes(4) + said)

    with socketserver.ThreadingTCPServer((HOST, 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            database = Database(f"postgresql://somebody@{HOST}:{server.server_address[1]}/any")
            with pytest.raises(DatabaseUnavailable, match="not now"):
                await database.ping()
            await database.close()
        finally:
            server.shutdown()
            thread.join()
