"""A crash on either side of the acknowledgement loses no answer: the commit comes last."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.exporter.app import Exporter, create_app
from services.exporter.delivery import DELIVERY_TIMEOUT_MS, Delivery, NotDelivered
from services.exporter.request_loop import GROUP
from services.exporter.requests import Outgoing
from services.exporter.settings import ExporterSettings
from shared.contracts.progress import decode_progress
from shared.contracts.topics import DEAD_LETTERS, MIB, PROGRESS, declare
from shared.runtime.kafka import ensure_topics, new_producer
from shared.runtime.process import Watchdog
from tests.integration.exporter.support import await_messages, committed, free_port, produce, request


class Crash(Exception):  # noqa: N818
    """The process dies here."""


class CrashingDelivery(Delivery):
    """A real delivery that dies before or after its acknowledgement."""

    def __init__(self, bootstrap_servers: str, *, after: bool) -> None:
        super().__init__(lambda: new_producer(bootstrap_servers, MIB, DELIVERY_TIMEOUT_MS))
        self._after = after

    async def send(self, messages: Sequence[Outgoing]) -> None:
        is_final = any(decode_progress(message.value or b"").status != "running" for message in messages)
        if self._after or not is_final:
            await super().send(messages)
        if is_final:
            raise Crash


def _settings(bootstrap_servers: str, redis_url: str, folder: Path) -> ExporterSettings:
    return ExporterSettings(
        kafka_bootstrap_servers=bootstrap_servers,
        redis_url=redis_url,
        export_wait_s=0.1,  # nobody evaluates: every export fails
        history=str(folder / "history"),
        exports=str(folder / "exports"),
        port=free_port(),
    )


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_beside_the_acknowledgement_loses_no_answer(
    kafka_bootstrap_servers: str, redis_url: str, tmp_path: Path, after: bool
) -> None:
    settings = _settings(kafka_bootstrap_servers, redis_url, tmp_path)
    ensure_topics(kafka_bootstrap_servers, declare(12))
    produce(kafka_bootstrap_servers, [request(number) for number in range(1, 9)])
    crashing = CrashingDelivery(kafka_bootstrap_servers, after=after)
    with pytest.raises(Crash):
        await Exporter(settings, crashing, Watchdog(60, "test")).run(asyncio.Event())
    assert await asyncio.to_thread(committed, kafka_bootstrap_servers, GROUP) == 0

    stop = asyncio.Event()
    running = asyncio.create_task(create_app(settings).run(stop))
    answered: set[int] = set()
    count = 8
    while answered != set(range(1, 9)):
        messages = await asyncio.to_thread(await_messages, kafka_bootstrap_servers, PROGRESS, count)
        reports = [decode_progress(m.value() or b"") for m in messages]
        answered = {report.id for report in reports if report.status == "failed"}
        count = len(messages) + 1
    stop.set()
    await running
    assert await asyncio.to_thread(committed, kafka_bootstrap_servers, GROUP) == 8


async def test_what_kafka_does_not_acknowledge_is_not_delivered(kafka_bootstrap_servers: str) -> None:
    """The topic is missing at first; the same delivery works as soon as it is there."""
    delivery = Delivery(lambda: new_producer(kafka_bootstrap_servers, MIB, DELIVERY_TIMEOUT_MS))
    message = Outgoing(DEAD_LETTERS, b"k", b"v", [("reason", b"test")])
    with pytest.raises(NotDelivered):
        await delivery.send([message])
    ensure_topics(kafka_bootstrap_servers, declare(12))
    await delivery.send([message])
    (found,) = await asyncio.to_thread(await_messages, kafka_bootstrap_servers, DEAD_LETTERS, 1)
    assert (found.key(), found.value(), found.headers()) == (b"k", b"v", [("reason", b"test")])
