"""From an event to the lookup that shows it: over REST, and for a producer that writes into Kafka itself."""

import asyncio
import json
import time
from typing import Any

import aiohttp
from confluent_kafka import Producer

from shared.contracts.keys import user_key
from shared.contracts.topics import EVENTS
from tests.bench.measure import percentile

COUNT = 1_000
RATE = 200
WARM_UP = 500
TWICE = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "bought", "operator": "gte", "value": 2, "window_days": 30}],
}
_PATIENCE_S = 30.0
_LOOK_AGAIN_S = 0.001


class Latency:
    """Measures against a running installation (`connection.json`)."""

    def __init__(self, connection: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._connection, self._session = connection, session
        self._producer = Producer(
            {
                "bootstrap.servers": connection["kafka_bootstrap_servers"],
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "log_level": 0,
            }
        )

    async def measure(self, count: int = COUNT, rate: int = RATE) -> dict[str, list[float]]:
        """Seconds from sending the event that completes the condition to the lookup that answers the segment."""
        segment_id = await self._computed_segment()
        await self._run(segment_id, "warm", WARM_UP, rate, self._track)  # the first seconds after a start are slower
        return {
            "REST": await self._run(segment_id, "rest", count, rate, self._track),
            "Kafka": await self._run(segment_id, "kafka", count, rate, self._produce),
        }

    async def _computed_segment(self) -> int:
        made = await self._call("POST", "/api/segments/", {"name": "bought twice", "definition": TWICE})
        path = f"/api/segments/{made['id']}/compute/"
        await self._call("POST", path)
        deadline = time.monotonic() + _PATIENCE_S
        while (await self._call("GET", path))["status"] != "computed":
            assert time.monotonic() < deadline, "the segment is computed"
            await asyncio.sleep(0.05)
        return int(made["id"])

    async def _run(self, segment_id: int, prefix: str, count: int, rate: int, send: Any) -> list[float]:
        # users of their own in every run: a repeat against the same installation measures the same
        users = [f"{prefix}-{time.time_ns()}-{n}" for n in range(count)]
        for start in range(0, count, 500):
            events = [{"user_id": user_id, "event_type": "bought"} for user_id in users[start : start + 500]]
            await self._call("POST", "/api/ingestion/track/batch/", {"events": events})
        began, measured = time.monotonic(), []
        async with asyncio.TaskGroup() as group:
            for number, user_id in enumerate(users):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                measured.append(group.create_task(self._one(segment_id, user_id, send)))
        return [task.result() for task in measured]

    async def _one(self, segment_id: int, user_id: str, send: Any) -> float:
        began = time.monotonic()
        await send(user_id)
        path = f"/api/segments/membership/?user_id={user_id}"
        while segment_id not in (await self._call("GET", path))["segment_ids"]:
            assert time.monotonic() < began + _PATIENCE_S, f"{user_id} enters"
            await asyncio.sleep(_LOOK_AGAIN_S)
        return time.monotonic() - began

    async def _track(self, user_id: str) -> None:
        await self._call("POST", "/api/ingestion/track/", {"user_id": user_id, "event_type": "bought"})

    async def _produce(self, user_id: str) -> None:
        tenant = self._connection["tenant_id"]
        value = {"tenant": tenant, "user_id": user_id, "event_type": "bought"}
        self._producer.produce(EVENTS, json.dumps(value).encode(), user_key(tenant, user_id))
        self._producer.poll(0)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"ApiKey {self._connection['api_key']}"}
        url = self._connection["api_url"] + path
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None


async def measured(connection: dict[str, Any], count: int = COUNT, rate: int = RATE) -> dict[str, list[float]]:
    """`Latency.measure` with a session of its own."""
    async with aiohttp.ClientSession() as session:
        return await Latency(connection, session).measure(count, rate)


def table(found: dict[str, list[float]]) -> str:
    """The figures for a person, in milliseconds."""
    lines = [f"event -> lookup, {COUNT:,} events at {RATE}/s, milliseconds"]
    for path, seconds in found.items():
        p50, p99 = (1000 * percentile(seconds, share) for share in (0.5, 0.99))
        lines.append(f"  {path:<6} p50 {p50:6.1f}   p99 {p99:6.1f}   max {1000 * max(seconds):6.1f}")
    return "\n".join(lines)
