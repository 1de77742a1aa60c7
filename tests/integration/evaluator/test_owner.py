"""One partition's owner on real Kafka and Redis: what it publishes, in which order, and how far it trusts the clock."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.evaluator.owner import LostPlace
from services.evaluator.records import RecordBatch
from shared.contracts import redis_keys as keys
from shared.contracts.command import Command
from shared.contracts.topics import CHANGELOG, declare
from shared.runtime.kafka import ensure_topics
from tests.integration.evaluator.support import (
    ANN,
    PARTITION,
    PATIENCE_S,
    SECOND_US,
    SEGMENT,
    Running,
    bought,
    owning,
    until,
    wish,
)

WISH = wish("gte", window_seconds=5)


@pytest.fixture
async def running(kafka_bootstrap_servers: str, redis_url: str) -> AsyncIterator[Running]:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    async with owning(kafka_bootstrap_servers, redis_url) as running:
        yield running


async def test_an_event_that_lies_unread_is_not_run_past_by_the_wall_clock(running: Running) -> None:
    await running.follow(WISH)
    await running.fold(0, 1, bought(0, 1000))
    await running.pass_time(1060, end_offset=2)
    assert await running.members() == [b"ann"], "offset 1 may extend what looks due"
    assert await running.redis.get(keys.clock_key(PARTITION)) == b"%d" % (1000 * SECOND_US)
    await running.fold(1, 2, bought(1, 1004))

    async def both_are_sent() -> bool:
        return len(await running.changes()) >= 2

    await until(both_are_sent)
    assert await running.members() == []
    assert [(turn.change, turn.at_us, turn.sequence) for turn in await running.changes()] == [
        ("entered", 1000 * SECOND_US, 1),
        ("exited", 1009 * SECOND_US, 2),
    ]


async def test_a_turned_user_is_in_the_changelog_before_the_batch_is_acknowledged(running: Running) -> None:
    await running.follow(WISH)
    await running.fold(0, 1, bought(0, 1000))
    written = [key for key, _ in await running.messages(CHANGELOG)]
    assert ANN in written
    assert written[-1] == b"\0partition", "the partition record ends every flush"
    assert await running.members() == [b"ann"]


async def test_a_cutover_is_durable_at_once_and_reported_when_history_has_given_what_lies_before(
    running: Running,
) -> None:
    await running.fold(0, 3, bought(0, 1000))
    twice = wish("gte", value=2, window_seconds=5)
    running.owner.wish(Command(1, SEGMENT, 1, computing=twice.serving))

    async def is_durable() -> bool:
        return b"\0segment:7" in [key for key, _ in await running.messages(CHANGELOG)]

    await until(is_durable)
    await running.fold(3, 4, bought(3, 1001))
    assert running.reports == [], "history does not reach the cutover yet"
    running.archive(3, bought(0, 1000))
    await running.reported("ready")
    assert [report.cutover for report in running.reports] == [3]
    running.owner.wish(Command(1, SEGMENT, 2, serving=twice.serving))
    await running.reported("ready", "switched")
    assert await running.members() == [b"ann"], "one before the cutover, one from it on"


async def test_a_command_that_is_not_newer_changes_nothing(running: Running) -> None:
    await running.follow(WISH)
    await running.fold(0, 1, bought(0, 1000))
    running.owner.wish(WISH)

    async def reported_again() -> bool:
        return len(running.reports) == 2

    await until(reported_again)
    assert running.reports[1] == running.reports[0], "the cutover stays"
    assert await running.members() == [b"ann"]


async def test_a_batch_that_does_not_follow_the_last_ends_the_owner(running: Running) -> None:
    await running.fold(0, 5, bought(0, 1000))
    await running.fold(3, 7, bought(6, 1001))  # a replay may overlap
    await running.owner.deliver(RecordBatch(PARTITION, 9, 10, [bought(9, 1002)]), lambda: None)
    with pytest.raises(LostPlace, match="offset 7 comes next, but the log is read from 9"):
        await asyncio.wait_for(running.worker, PATIENCE_S)


async def test_a_reading_of_a_wrong_clock_is_never_used(kafka_bootstrap_servers: str, redis_url: str) -> None:
    """Not even when the clock has been set right since: T would stay two hours ahead for ever."""
    ensure_topics(kafka_bootstrap_servers, declare(12))
    async with owning(kafka_bootstrap_servers, redis_url) as running:
        await running.follow(wish("gte", window_seconds=60))
        await running.fold(0, 1, bought(0, 1000))
        await running.pass_time(1000 + 7200, 1, is_trusted=False)
        await running.fold(1, 2, bought(1, 1001))
        assert running.owner.table.record.clock == 1001 * SECOND_US
        assert await running.members() == [b"ann"]
        await running.pass_time(1002, 2)
        assert running.owner.table.record.clock == 1002 * SECOND_US
