"""Many clients that send large batches at once, each again whenever it is answered; and what that costs the api."""

import asyncio
import threading
import time
from typing import NamedTuple

import httpx
import msgspec

from tests.fault.api import ApiProcess
from tests.fault.load import PATIENCE_S
from tests.fault.memory import Growth, Memory

CLIENTS = 20
BATCH, PAYLOAD_BYTES = 500, 1_000
"""Events of one call, and how large each is."""
_SAMPLE_S = 0.2


class Refusal(NamedTuple):
    """An answer, and how long it took."""

    status: int | None
    retry_after: str
    took_s: float


class Flood:
    """Sends in a thread of its own until `finish`; the same body again and again, whose events are nobody's count."""

    def __init__(self, api: ApiProcess) -> None:
        self.answers: list[Refusal] = []
        self._api = api
        events = [
            {"user_id": f"flood-{n}", "event_type": "flooded", "payload": {"x": "x" * PAYLOAD_BYTES}}
            for n in range(BATCH)
        ]
        self._body = msgspec.json.encode({"events": events})
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="flood", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Send no more; returns when all are answered."""
        self._enough.set()
        self._thread.join(2 * PATIENCE_S)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=CLIENTS)
        headers = {"Authorization": f"ApiKey {self._api.key}", "Content-Type": "application/json"}
        async with (
            httpx.AsyncClient(base_url=self._api.url, headers=headers, timeout=PATIENCE_S, limits=limits) as client,
            asyncio.TaskGroup() as clients,
        ):
            for _ in range(CLIENTS):
                clients.create_task(self._send(client))

    async def _send(self, client: httpx.AsyncClient) -> None:
        while not self._enough.is_set():
            began_s = time.monotonic()
            try:
                answer = await client.post("/api/ingestion/track/batch/", content=self._body)
            except httpx.HTTPError:
                self.answers.append(Refusal(None, "", time.monotonic() - began_s))
                continue
            retry_after = answer.headers.get("Retry-After", "")
            self.answers.append(Refusal(answer.status_code, retry_after, time.monotonic() - began_s))
            await asyncio.sleep(float(retry_after or 0))


def memory_of(api: ApiProcess, span_s: float) -> Growth:
    """What the api held in that time, which begins now."""
    memory = Memory(lambda: [(api.name, api.pid)], _SAMPLE_S)
    memory.start()
    time.sleep(span_s)  # it lasts so long: there is no condition
    return memory.stop()[0]
