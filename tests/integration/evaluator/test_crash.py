"""A crash at every arrow of publishing: the next owner finishes it, nothing counts twice, nothing is forgotten.

The segment holds those who bought exactly once, so that an event folded twice would throw its user out.
"""

import asyncio
from typing import Any

import pytest

from services.evaluator.changelog import ChangelogWriter
from services.evaluator.publisher import Publisher
from services.evaluator.records import RecordBatch
from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics
from tests.integration.evaluator.support import PARTITION, PATIENCE_S, Running, bought, owning, wish

WISH = wish("eq")


class Crash(Exception):  # noqa: N818
    """The process dies here."""


class DiesBeforeRedis(Publisher):
    async def _to_redis(self, changes: list[Any], next_offset: int) -> None:
        if changes:
            raise Crash
        await super()._to_redis(changes, next_offset)


class DiesAfterRedis(Publisher):
    async def _send(self, changes: list[Any], dead: list[Any]) -> None:
        if changes:
            raise Crash
        await super()._send(changes, dead)


class DiesAfterChanges(Publisher):
    async def _send(self, changes: list[Any], dead: list[Any]) -> None:
        await super()._send(changes, dead)
        if changes:
            raise Crash


class DiesBeforeThePartitionRecord(ChangelogWriter):
    """The turned user's record is written, the record that ends the flush is not."""

    turned = False

    def put_users(self, keys: list[bytes]) -> None:
        super().put_users(keys)
        self.turned = bool(keys)

    def end_flush(self) -> "asyncio.Future[None]":
        if self.turned:
            raise Crash
        return super().end_flush()


async def _die(running: Running) -> None:
    """Follow the segment and take the event that makes ann a member, up to the crash."""
    await running.follow(WISH)
    await running.owner.deliver(RecordBatch(PARTITION, 0, 1, [bought(0, 1000)]), lambda: None)
    done, _ = await asyncio.wait(
        {running.worker, running.publishing}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
    )
    (dead,) = done
    with pytest.raises(Crash):
        dead.result()


@pytest.mark.parametrize(
    ("publisher", "changelog", "sent_before"),
    [
        (Publisher, DiesBeforeThePartitionRecord, 0),
        (DiesBeforeRedis, ChangelogWriter, 0),
        (DiesAfterRedis, ChangelogWriter, 0),
        (DiesAfterChanges, ChangelogWriter, 1),
    ],
)
async def test_a_crash_at_any_arrow_is_finished_by_the_next_owner(
    kafka_bootstrap_servers: str,
    redis_url: str,
    publisher: type[Publisher],
    changelog: type[ChangelogWriter],
    sent_before: int,
) -> None:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    async with owning(kafka_bootstrap_servers, redis_url, publisher, changelog) as first:
        await _die(first)
    async with owning(kafka_bootstrap_servers, redis_url) as second:
        assert await second.members() == [b"ann"], "before any event is read again"
        await second.fold(0, 1, bought(0, 1000))  # the offset was not committed
        assert await second.members() == [b"ann"]
        sent = await second.changes()
        assert len(sent) == sent_before + 1
        assert {(change.id, change.change) for change in sent} == {("7:ann:0:1", "entered")}
        await second.fold(1, 2, bought(1, 1001))
        assert await second.members() == []
        assert [change.change for change in await second.changes()][-1] == "exited"


async def test_what_did_not_turn_is_folded_again_after_a_crash_before_the_commit(
    kafka_bootstrap_servers: str, redis_url: str
) -> None:
    ensure_topics(kafka_bootstrap_servers, declare(12))
    async with owning(kafka_bootstrap_servers, redis_url) as first:
        await first.fold(0, 1, bought(0, 1000))  # nothing is followed, so nobody turns and nothing is written
    async with owning(kafka_bootstrap_servers, redis_url) as second:
        assert second.owner.table.next_offset == 0
        await second.fold(0, 1, bought(0, 1000))
        await second.owner.flush()
    async with owning(kafka_bootstrap_servers, redis_url) as third:
        assert third.owner.table.next_offset == 1
        assert third.owner.table.record.flushed_through == 1
