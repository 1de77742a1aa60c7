"""`kill -9` of the api between claiming a delivery, sending it, and noting that it was taken."""

import asyncio
import os
import signal

import pytest

from services.api.database import Database
from services.api.migrate import migrate
from services.api.webhooks import payloads
from tests.support.evaluators import ServiceProcess, environment, wait_for
from tests.support.receiver import NETWORK, receiver
from tests.support.served_api import KEY, PARTITIONS, PATIENCE_S
from tests.support.servers import Servers

DELIVERIES = 4


async def store(database_url: str, url: str) -> list[str]:
    """A webhook for which some deliveries wait; their ids."""
    database = Database(database_url)
    await migrate(database)
    async with database.begin() as work:
        tenant = await work.tenants.ensure("demo")
        webhook = await work.webhooks.create(
            tenant, url=url, secret="0123456789abcdef", description="", is_active=True, events=[payloads.CHANGED]
        )
        await work.deliveries.add(webhook.id, payloads.CHANGED, [f'{{"n":{n}}}' for n in range(DELIVERIES)])
        _, rows = await work.deliveries.page(webhook.id, 0, 100)
    await database.close()
    return [row.message_id for row in rows]


async def pending(database_url: str) -> int:
    database = Database(database_url)
    async with database.begin() as work:
        count, _ = await work.deliveries.pending()
    await database.close()
    return count


@pytest.mark.parametrize(("point", "again"), [("after_webhook_claim", 0), ("after_webhook_sent", 1)])
def test_killed(servers: Servers, database_url: str, kafka_bootstrap_servers: str, point: str, again: int) -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    environ = others | environment(kafka_bootstrap_servers, servers.redis_url)
    environ |= {
        "SHOAL_DATABASE_URL": database_url,
        "SHOAL_PARTITIONS": str(PARTITIONS),
        "SHOAL_API_BOOTSTRAP_KEY": KEY,
        "SHOAL_API_WEBHOOK_ALLOWED_NETWORKS": NETWORK,
        "SHOAL_API_WEBHOOK_TIMEOUT_S": "0.5",
    }
    with receiver() as received:
        wanted = asyncio.run(store(database_url, received.url))
        killed = ServiceProcess("api", environ | {"SHOAL_API_CRASH_AT": f"{point}:2"}).start()
        assert killed.await_exit(PATIENCE_S) == -signal.SIGKILL
        assert asyncio.run(pending(database_url)) == DELIVERIES - 1
        successor = ServiceProcess("api", environ).start()
        try:
            wait_for(lambda: asyncio.run(pending(database_url)) == 0, PATIENCE_S, "all are delivered")
        finally:
            assert successor.stop() == 0
            for process in (killed, successor):
                print(process.last_lines())
                process.log.unlink()
        ids = [each.message_id for each in received.received]
        assert set(ids) == set(wanted)
        assert len(ids) == len(wanted) + again
        assert len({each.body for each in received.received}) == len(wanted)
