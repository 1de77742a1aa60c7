"""From an event to the lookup that shows it: over REST, and for a producer that writes into Kafka itself."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
from confluent_kafka import Producer

from shared.contracts.keys import user_key
from shared.contracts.topics import EVENTS
from tests.bench.measure import percentile

COUNT = 1_000
RATE = 500
WARM_UP = 2_000
"""The first seconds after a start are slower: code is read in, connections are made."""
TWICE = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "bought", "operator": "gte", "value": 2, "window_days": 30}],
}
_PATIENCE_S = 30.0
_LOOK_AGAIN_S = 0.001
_BATCH = 500

Send = Callable[[str], Awaitable[None]]


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
        self._segment_id = 0
        self._users: Iterator[str] = iter(())

    async def prepare(self, count: int, rate: int) -> None:
        """The segment, `count` users for all runs whose next event completes the condition, and the warm-up."""
        self._segment_id = await self._computed_segment()
        # users of their own: a repeat against the same installation measures the same
        users = [f"user-{time.time_ns()}-{number}" for number in range(count + WARM_UP)]
        for start in range(0, len(users), _BATCH):
            events = [{"user_id": user_id, "event_type": "bought"} for user_id in users[start : start + _BATCH]]
            await self._call("POST", "/api/ingestion/track/batch/", {"events": events})
        self._users = iter(users)
        await self._run(WARM_UP, rate, self._track)

    async def rest(self, count: int, rate: int) -> list[float]:
        """Seconds from each `POST /api/ingestion/track/` to the first lookup that answers the segment."""
        return await self._run(count, rate, self._track)

    async def kafka(self, count: int, rate: int) -> list[float]:
        """The same for events that a producer writes into the topic."""
        return await self._run(count, rate, self._produce)

    async def _computed_segment(self) -> int:
        made = await self._call("POST", "/api/segments/", {"name": "bought twice", "definition": TWICE})
        path = f"/api/segments/{made['id']}/compute/"
        await self._call("POST", path)
        deadline = time.monotonic() + _PATIENCE_S
        while (await self._call("GET", path))["status"] != "computed":
            assert time.monotonic() < deadline, "the segment is computed"
            await asyncio.sleep(0.05)
        return int(made["id"])

    async def _run(self, count: int, rate: int, send: Send) -> list[float]:
        began, sent_s, found = time.monotonic(), dict[str, float](), list[float]()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(sent_s, found, count))
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                user_id = next(self._users)
                sent_s[user_id] = time.monotonic()
                group.create_task(send(user_id))  # type: ignore[arg-type] # it is a coroutine
        return found

    async def _watch(self, sent_s: dict[str, float], found: list[float], count: int) -> None:
        """Look for all that wait at once: a look for each would be the greater load."""
        while len(found) < count:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if not sent_s:
                continue
            asked = {"user_ids": list(sent_s)[:1000], "segment_ids": [self._segment_id]}
            answer = await self._call("POST", "/api/segments/membership/batch/", asked, or_later={"results": []})
            seen_s = time.monotonic()
            assert seen_s < min(sent_s.values()) + _PATIENCE_S, "every user enters"
            entered = [result["user_id"] for result in answer["results"] if result["segment_ids"]]
            found += [seen_s - sent_s.pop(user_id) for user_id in entered]

    async def _track(self, user_id: str) -> None:
        await self._call("POST", "/api/ingestion/track/", {"user_id": user_id, "event_type": "bought"})

    async def _produce(self, user_id: str) -> None:
        tenant = self._connection["tenant_id"]
        value = {"tenant": tenant, "user_id": user_id, "event_type": "bought"}
        self._producer.produce(EVENTS, json.dumps(value).encode(), user_key(tenant, user_id))
        self._producer.poll(0)

    async def _call(self, method: str, path: str, body: Any = None, or_later: Any = None) -> Any:
        """The answer; `or_later` when it is to ask again later, if that is an answer here."""
        headers = {"Authorization": f"ApiKey {self._connection['api_key']}"}
        url = self._connection["api_url"] + path
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status == 503 and or_later is not None:
                return or_later
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None


async def measured(connection: dict[str, Any], rate: int = RATE, count: int = COUNT) -> dict[str, list[float]]:
    """One run of each way in."""
    async with aiohttp.ClientSession() as session:
        latency = Latency(connection, session)
        await latency.prepare(2 * count, rate)
        return {"REST": await latency.rest(count, rate), "Kafka": await latency.kafka(count, rate)}


def table(found: dict[str, list[float]], rate: int = RATE) -> str:
    """The figures for a person, in milliseconds."""
    lines = [f"event -> lookup, {COUNT:,} events at {rate}/s, milliseconds"]
    for path, seconds in found.items():
        p50, p99 = (1000 * percentile(seconds, share) for share in (0.5, 0.99))
        lines.append(f"  {path:<6} p50 {p50:6.1f}   p99 {p99:6.1f}   max {1000 * max(seconds):6.1f}")
    return "\n".join(lines)
