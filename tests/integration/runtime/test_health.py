"""The health server: what it answers over HTTP, that it leaves signals alone, and that a port in use is told."""

import asyncio
import signal
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.runtime import metrics
from shared.runtime.health import CannotListen, HealthServer


class Served:
    """A running server whose parts the test changes."""

    def __init__(self) -> None:
        self.parts: dict[str, str | None] = {"kafka": None}
        self.server = HealthServer("127.0.0.1", 0, lambda: self.parts, metrics.EXPORTER)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://127.0.0.1:{self.server.port}{path}")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.server.start()
    yield served
    await served.server.stop()


async def test_it_is_live_while_the_loop_answers(served: Served) -> None:
    assert (await served.get("/livez")).status_code == 200


async def test_ready_follows_the_parts(served: Served) -> None:
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "parts": {"kafka": "ok"}})
    served.parts["kafka"] = "no answer for 3 s"
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"kafka": "no answer for 3 s"})
    served.parts["kafka"] = None
    assert (await served.get("/readyz")).status_code == 200


async def test_metrics_are_prometheus_text(served: Served) -> None:
    metrics.EXPORT_REQUESTS.labels("failed").inc(0)
    answer = await served.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'shoal_exporter_requests_total{status="failed"}' in answer.text


async def test_signals_stay_with_the_process() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    before = handlers()
    served = Served()
    await served.server.start()
    assert (await served.get("/livez")).status_code == 200
    assert handlers() == before
    await served.server.stop()
    assert handlers() == before


async def test_a_port_in_use_is_named(served: Served) -> None:
    second = HealthServer("127.0.0.1", served.server.port, dict, metrics.EXPORTER)
    with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{served.server.port}: Address already in use$"):
        await second.start()
    await second.stop()


async def test_an_unknown_host_is_named() -> None:
    with pytest.raises(CannotListen, match=r"^cannot listen on no\.such\.host\.invalid:0: .*[Nn]ame"):
        await HealthServer("no.such.host.invalid", 0, dict, metrics.EXPORTER).start()


async def test_stopping_frees_the_port_even_with_a_connection_open(served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    async with asyncio.timeout(10):
        await served.server.stop()
    writer.close()
    again = HealthServer("127.0.0.1", served.server.port, dict, metrics.EXPORTER)
    await again.start()
    await again.stop()
