"""From an event to the webhook that tells of it: archived, read from the feed, stored, and sent."""

import asyncio
import json
import time
from typing import Any

import aiohttp

from shared.domain.times import parse_time
from tests.bench.beside import installed
from tests.bench.latency import COUNT, Latency
from tests.bench.measure import percentile
from tests.support.receiver import NETWORK, Received, Receiver, receiver

RATE = 200
_PATIENCE_S = 60


class Arrivals:
    """Takes everything, and notes when each change came first."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Of a change, by id: from its instant, the append time of its event, to its arrival."""

    def __call__(self, request: Received) -> int:
        """The status of an answer."""
        now_us = time.time_ns() // 1000
        for change in json.loads(request.body)["changes"]:
            at_us = parse_time(change["at"]) or 0
            self.seconds.setdefault(change["id"], (now_us - at_us) / 1e6)
        return 200


def measure(rate: int = RATE) -> list[float]:
    """Seconds from each of `COUNT` events that let a user enter to the webhook that says so."""
    arrivals = Arrivals()
    with receiver(arrivals) as to, installed(SHOAL_API_WEBHOOK_ALLOWED_NETWORKS=NETWORK) as connection:
        asyncio.run(_told(connection, to, arrivals, rate))
    return list(arrivals.seconds.values())


def table(seconds: list[float], rate: int = RATE) -> str:
    """The figures for a person, in milliseconds."""
    p50, p99 = (1000 * percentile(seconds, share) for share in (0.5, 0.99))
    said = f"p50 {p50:.0f}   p99 {p99:.0f}   max {1000 * max(seconds):.0f}"
    return f"event -> webhook, {len(seconds):,} changes at {rate}/s, milliseconds\n  {said}"


async def _told(connection: dict[str, Any], to: Receiver, arrivals: Arrivals, rate: int) -> None:
    async with aiohttp.ClientSession() as session:
        latency = Latency(connection, session)
        await latency.prepare(COUNT, rate)
        await asyncio.sleep(5)  # the changes of the warm-up are archived
        await latency._call("POST", "/api/webhooks/", {"url": to.url, "events": ["membership.changed"]})
        await latency.rest(COUNT, rate)
        async with asyncio.timeout(_PATIENCE_S):
            while len(arrivals.seconds) < COUNT:  # noqa: ASYNC110 - another thread receives
                await asyncio.sleep(0.05)
