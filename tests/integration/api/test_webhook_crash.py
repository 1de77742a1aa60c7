"""`kill -9` of the api between claiming a delivery, sending it, and noting that it was taken."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.api.database import Database
from services.api.migrate import migrate
from services.api.webhooks import payloads
from tests.support.archived_changes import archive_changes, change
from tests.support.evaluators import ServiceProcess, environment, wait_for
from tests.support.receiver import NETWORK, receiver
from tests.support.served_api import KEY, PARTITIONS, PATIENCE_S, TOKEN_SECRET
from tests.support.servers import Servers

DELIVERIES = 4


async def store(database_url: str, url: str, position: int | None = None, bodies: int = 0) -> list[str]:
    """A webhook at this place of the feed, for which some deliveries wait; their ids."""
    database = Database(database_url)
    await migrate(database)
    async with database.begin_for_all() as work:
        tenant = await work.tenants.ensure("demo")
        values: dict[str, Any] = {"url": url, "secret": "0123456789abcdef", "description": "", "is_active": True}
        webhook = await work.webhooks.create(tenant, **values, events=[payloads.CHANGED], position=position)
        if bodies:
            await work.deliveries.add(webhook.id, payloads.CHANGED, [f'{{"n":{n}}}' for n in range(bodies)])
        _, rows = await work.deliveries.page(webhook.id, 0, 100)
    await database.close()
    return [row.message_id for row in rows]


async def pending(database_url: str) -> int:
    database = Database(database_url)
    async with database.begin_for_all() as work:
        count, _ = await work.deliveries.pending()
    await database.close()
    return count


@pytest.fixture
def environ(servers: Servers, database_url: str, kafka_bootstrap_servers: str) -> dict[str, str]:
    """Of an api that may send to the receiver, and knows soon that a claim is over."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    ours = {
        "SHOAL_DATABASE_URL": database_url,
        "SHOAL_PARTITIONS": str(PARTITIONS),
        "SHOAL_API_BOOTSTRAP_KEY": KEY,
        "SHOAL_API_TOKEN_SECRET": TOKEN_SECRET,
        "SHOAL_API_WEBHOOK_ALLOWED_NETWORKS": NETWORK,
        "SHOAL_API_WEBHOOK_TIMEOUT_S": "3",
    }
    return others | environment(kafka_bootstrap_servers, servers.redis_url) | ours


@contextmanager
def succeeded(environ: dict[str, str], crash_at: str) -> Iterator[None]:
    """An api dies at this place; another one goes on until the end of the block, and ends as it should."""
    killed = ServiceProcess("api", environ | {"SHOAL_API_CRASH_AT": crash_at}).start()
    assert killed.await_exit(PATIENCE_S) == -signal.SIGKILL
    successor = ServiceProcess("api", environ).start()
    try:
        yield
    finally:
        code = successor.stop()
        for process in (killed, successor):
            print(process.last_lines())
            process.log.unlink()
    assert code == 0


@pytest.mark.parametrize(("point", "again"), [("after_webhook_claim", 0), ("after_webhook_sent", 1)])
def test_killed(environ: dict[str, str], database_url: str, point: str, again: int) -> None:
    with receiver() as received:
        wanted = asyncio.run(store(database_url, received.url, bodies=DELIVERIES))
        with succeeded(environ, f"{point}:2"):
            assert asyncio.run(pending(database_url)) == DELIVERIES - 1
            wait_for(lambda: asyncio.run(pending(database_url)) == 0, PATIENCE_S, "all are delivered")
        ids = [each.message_id for each in received.received]
        assert set(ids) == set(wanted)
        assert len(ids) >= len(wanted) + again
        assert len({each.body for each in received.received}) == len(wanted)


def test_killed_between_storing_and_sending(environ: dict[str, str], database_url: str, tmp_path: Path) -> None:
    made = [change(f"user-{number}", 1) for number in range(DELIVERIES)]
    archive_changes(str(tmp_path), made)
    with receiver() as received:
        asyncio.run(store(database_url, received.url, position=0))
        with succeeded(environ | {"SHOAL_HISTORY": str(tmp_path)}, "after_webhook_stored:1"):
            (request,) = received.await_received(1)
            wait_for(lambda: asyncio.run(pending(database_url)) == 0, PATIENCE_S, "it is delivered")
        assert [each["id"] for each in json.loads(request.body)["changes"]] == [each.id for each in made]
        assert {each.message_id for each in received.received} == {request.message_id}
