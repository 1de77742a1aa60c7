"""From an event to the server-sent event of the change that it makes."""

import json
import time
from typing import Any

import aiohttp

from tests.bench.latency import COUNT, Latency
from tests.bench.latency import table as table_of

RATE = 200


class FeedLatency(Latency):
    """Looks with one stream, which is opened before each run."""

    async def _watch(self, sent_s: dict[str, float], found: list[float], count: int) -> None:
        after = "0"
        while (page := await self._call("GET", f"{self._path()}?after={after}"))["has_more"]:
            after = page["next_after"]
        headers = {"Accept": "text/event-stream", "Authorization": f"ApiKey {self._connection['api_key']}"}
        url = f"{self._connection['api_url']}{self._path()}?after={page['next_after']}"
        async with self._session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(60)) as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    user_id = json.loads(line[6:])["user_id"]
                    found.append(time.monotonic() - sent_s.pop(user_id))
                if len(found) == count:
                    return

    def _path(self) -> str:
        return f"/api/segments/{self._segment_id}/changes/"


async def measured(connection: dict[str, Any], count: int = COUNT) -> dict[str, list[float]]:
    """One run: seconds from each event to the line of the stream."""
    async with aiohttp.ClientSession() as session:
        latency = FeedLatency(connection, session)
        await latency.prepare(count, RATE)
        return {"REST": await latency.rest(count, RATE)}


def table(found: dict[str, list[float]]) -> str:
    """The figures for a person, in milliseconds."""
    return table_of(found, RATE).replace("lookup", "change feed")
