"""Deliveries in PostgreSQL: who claims gets what no one else has, what is noted counts once, what is old goes."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import select

from services.api.database import Database
from services.api.migrate import migrate
from services.api.repository.webhook_deliveries import Claimed
from services.api.tables import webhooks
from services.api.webhooks import payloads, sender
from services.api.webhooks.client import Answer, WebhookClient
from services.api.webhooks.destinations import Destinations
from services.api.webhooks.outcomes import note
from services.api.webhooks.sender import WebhookSender
from services.api.webhooks.upkeep import WebhookUpkeep
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import API_WEBHOOK_PENDING, API_WEBHOOK_PENDING_SECONDS
from tests.support.receiver import NETWORK, Receiver, receiver

LEASE_S = 30.0
DAY_S = 86_400
DELAYS_S = (3600.0,)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await migrate(database)
    yield database
    await database.close()


async def new_webhook(database: Database, url: str = "https://1.1.1.1/", *bodies: str) -> int:
    """A webhook for which these bodies wait."""
    async with database.begin_for_all() as work:
        tenant = await work.tenants.ensure("demo")
        values: dict[str, Any] = {"url": url, "secret": "0123456789abcdef", "description": "", "is_active": True}
        webhook = await work.webhooks.create(tenant, **values, events=[payloads.CHANGED])
        if bodies:
            await work.deliveries.add(webhook.id, payloads.CHANGED, bodies)
    return webhook.id


async def claim(database: Database, lease_s: float = LEASE_S, busy: tuple[int, ...] = ()) -> list[Claimed]:
    async with database.begin_for_all() as work:
        return await work.deliveries.claim(busy, 100, lease_s)


async def statuses(database: Database, webhook_id: int) -> list[tuple[str, int]]:
    """Status and attempts, oldest first."""
    async with database.begin_for_all() as work:
        _, rows = await work.deliveries.page(webhook_id, 0, 100)
    return [(row.status, row.attempts) for row in reversed(rows)]


async def await_statuses(database: Database, webhook_id: int, wanted: list[tuple[str, int]]) -> None:
    async with asyncio.timeout(20):
        while await statuses(database, webhook_id) != wanted:  # noqa: ASYNC110 - PostgreSQL does not tell
            await asyncio.sleep(0.02)


async def test_two_who_claim_at_once_get_different_ones(database: Database) -> None:
    webhooks = [await new_webhook(database, "https://1.1.1.1/", "{}", "{}") for _ in range(20)]
    claimed = await asyncio.gather(*(claim(database) for _ in range(4)))
    ids = [each.id for some in claimed for each in some]
    assert len(ids) == len(set(ids)) >= len(webhooks)


async def test_the_oldest_of_each_webhook_that_is_not_busy_is_claimed(database: Database) -> None:
    first = await new_webhook(database, "https://1.1.1.1/a", '{"n":1}', '{"n":2}')
    second = await new_webhook(database, "https://1.1.1.1/b", '{"n":3}')
    (only,) = await claim(database, busy=(second,))
    assert (only.webhook_id, only.url, only.body, only.attempts) == (first, "https://1.1.1.1/a", '{"n":1}', 0)
    assert [each.body for each in await claim(database, busy=(first,))] == ['{"n":3}']


async def test_a_claim_of_which_nothing_is_noted_ends_with_its_lease(database: Database) -> None:
    await new_webhook(database, "https://1.1.1.1/", "{}")
    (claimed,) = await claim(database)
    assert await claim(database) == []
    async with database.begin_for_all() as work:
        await work.deliveries.revive(claimed.webhook_id)
    (again,) = await claim(database, lease_s=0)
    (later,) = await claim(database)
    assert again.message_id == later.message_id == claimed.message_id


async def test_two_who_send_the_same_note_one_outcome(database: Database) -> None:
    webhook_id = await new_webhook(database, "https://1.1.1.1/", "{}")
    (first,), (second,) = await claim(database, lease_s=0), await claim(database)
    for each, answer in ((first, Answer(500, "answered 500")), (second, Answer(None, "x")), (first, Answer(200, None))):
        async with database.begin_for_all() as work:
            await note(work, each, answer, DELAYS_S)
    assert await statuses(database, webhook_id) == [("delivered", 2)]
    async with database.begin_for_all() as work:
        assert await note(work, second, Answer(500, "late"), ()) == "given_up"
    assert await statuses(database, webhook_id) == [("delivered", 2)]


async def test_an_outcome_of_a_webhook_that_was_removed_changes_nothing(database: Database) -> None:
    webhook_id = await new_webhook(database, "https://1.1.1.1/", "{}")
    (claimed,) = await claim(database)
    async with database.begin_for_all() as work:
        await work.webhooks.delete(webhook_id)
    async with database.begin_for_all() as work:
        assert await note(work, claimed, Answer(200, None), DELAYS_S) == "given_up"


async def test_retries_come_after_their_delay_and_a_little_more(database: Database) -> None:
    webhook_id = await new_webhook(database, "https://1.1.1.1/", *["{}"] * 20)
    for _ in range(20):
        (claimed,) = await claim(database)
        async with database.begin_for_all() as work:
            assert await note(work, claimed, Answer(500, "answered 500"), DELAYS_S) == "failed"
    async with database.begin_for_all() as work:
        _, rows = await work.deliveries.page(webhook_id, 0, 100)
    delays_s = [(row.next_attempt_at - row.created_at).total_seconds() for row in rows if row.next_attempt_at]
    assert all(3600 <= delay_s < 1.2 * 3600 + 60 for delay_s in delays_s)
    assert max(delays_s) - min(delays_s) > 60


@pytest.fixture
def received() -> Any:
    with receiver() as listening:
        yield listening


async def test_nothing_is_sent_before_members_can_be_counted(
    database: Database, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of members is that of the first attempt, and the same at every other."""
    body = payloads.recomputed("demo", 7, "seven", None)
    webhook_id = await new_webhook(database, received.url)
    async with database.begin_for_all() as work:
        await work.deliveries.add(webhook_id, payloads.RECOMPUTED, [body])
    monkeypatch.setattr(sender, "_LEASE_BEYOND_S", -0.9)
    counts = [None, None, 3, 4]
    received.answering = lambda _: 500 if len(received.received) == 1 else 200

    async def count(_: int, segment_id: int) -> int | None:
        assert segment_id == 7
        return counts.pop(0)

    client = WebhookClient(Destinations([ip_network(NETWORK)]), SystemClock(), 5)
    running = asyncio.create_task(WebhookSender(database, client, count, (0.1,), 1).run())
    await await_statuses(database, webhook_id, [("delivered", 2)])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [each.body.decode() for each in received.received] == 2 * [payloads.with_count(body, 3)]


async def test_what_ended_long_ago_is_removed_and_what_waits_is_counted(database: Database) -> None:
    webhook_id = await new_webhook(database, "https://1.1.1.1/", *["{}"] * 3)
    (claimed,) = await claim(database)
    async with database.begin_for_all() as work:
        await note(work, claimed, Answer(200, None), DELAYS_S)
    upkeep = WebhookUpkeep(database, kept_days=0.5 / DAY_S)
    running = asyncio.create_task(upkeep.run())
    await await_statuses(database, webhook_id, [("pending", 0)] * 2)
    assert API_WEBHOOK_PENDING._value.get() == 2
    assert API_WEBHOOK_PENDING_SECONDS._value.get() > 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert API_WEBHOOK_PENDING._value.get() == 0


async def test_what_is_kept_is_kept(database: Database) -> None:
    webhook_id = await new_webhook(database, "https://1.1.1.1/", "{}")
    (claimed,) = await claim(database)
    async with database.begin_for_all() as work:
        await note(work, claimed, Answer(200, None), DELAYS_S)
        assert await work.deliveries.remove_old(DAY_S, 10) == 0
    assert await statuses(database, webhook_id) == [("delivered", 1)]


async def test_a_deleted_webhook_goes_with_its_deliveries(database: Database) -> None:
    webhook_id = await new_webhook(database, "https://1.1.1.1/", *["{}"] * 3)
    kept = await new_webhook(database, "https://1.1.1.1/", "{}")
    async with database.begin_for_all() as work:
        await work.webhooks.delete(webhook_id)
    assert [each.webhook_id for each in await claim(database)] == [kept]
    for left in (2, 1, 0):
        async with database.begin_for_all() as work:
            assert await work.deliveries.remove_old(DAY_S, 1) == 1
            await work.webhooks.remove_deleted()
        assert len(await statuses(database, webhook_id)) == left
    async with database.connect() as connection:
        assert list((await connection.execute(select(webhooks.c.id))).scalars()) == [kept]
    assert await statuses(database, kept) == [("pending", 0)]
