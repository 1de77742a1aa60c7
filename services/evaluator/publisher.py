"""The ordered stage behind the step: changelog -> Redis -> changes -> acknowledge, one publication after another.

The next batch is folded meanwhile. What has turned is durable in the changelog before Redis hears of it, so
nothing that was published can be forgotten; and the batch is acknowledged last.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator

import msgspec

from services.evaluator.changelog import ChangelogWriter
from services.evaluator.membership_writer import Lost, MembershipWriter, RedisChange, redis_change
from services.evaluator.producer import DeliveryGroup, LoopProducer
from services.evaluator.recovery import Recovery
from services.evaluator.state_table import StateTable
from services.evaluator.step import DeadLetter
from services.evaluator.transition import Outcome, seal
from services.evaluator.user import User
from shared.contracts.dead_letter import dead_letter_headers
from shared.contracts.topics import DEAD_LETTERS, EVENTS, MEMBERSHIP_CHANGES
from shared.runtime import metrics
from shared.runtime.crash_points import crash_point

log = logging.getLogger(__name__)

UNFINISHED = 8
"""Publications of one partition under way at most; folding waits beyond."""


class Publication(msgspec.Struct):
    """What one step has to publish. `number` 0: no user turned, only the clock and the offset move."""

    number: int
    users: list[User]
    redis: list[RedisChange]
    changes: list[tuple[bytes, bytes]]
    dead: list[DeadLetter]
    next_offset: int
    settled_us: int
    """All turns before this instant are in this publication or an earlier one."""
    durable: "asyncio.Future[None] | None"
    done: Callable[[], None]


class Publisher:
    """Publishes for one partition, in order."""

    def __init__(
        self, table: StateTable, changelog: ChangelogWriter, writer: MembershipWriter, producer: LoopProducer
    ) -> None:
        self._table, self._changelog, self._writer, self._producer = table, changelog, writer, producer
        self._queue: asyncio.Queue[Publication] = asyncio.Queue(UNFINISHED)
        self._queued = self._finished = 0
        self._shown = 0
        """So many publications Redis shows already, though the changes of some are not sent yet: it was rewritten."""
        self.is_rewriting = False
        """Whether all memberships are being written to Redis anew; lookups wait for it."""

    async def publish(self, out: Outcome, dead: list[DeadLetter], done: Callable[[], None]) -> None:
        """Write the turned users behind, then queue the rest; waits while too many are unfinished."""
        number = seal(out)
        durable = None
        if number:
            self._changelog.put_users(list(out.users))
            durable = self._changelog.end_flush()
            crash_point("after_changelog_send")
        settled_us = min(self._table.record.clock, self._table.first_wake())
        self._queued += 1
        # taken now: Redis must not run ahead of what this flush makes durable
        users = list(out.users.values())
        redis = list(map(redis_change, users))
        await self._queue.put(
            Publication(number, users, redis, out.changes, dead, self._table.next_offset, settled_us, durable, done)
        )

    async def drain(self) -> None:
        """Wait until all that was queued is published."""
        await self._queue.join()

    @property
    def idle(self) -> bool:
        """Whether nothing waits for its turn."""
        return not self.waiting

    @property
    def waiting(self) -> int:
        """How many publications wait for their turn."""
        return self._queue.qsize()

    async def run(self) -> None:
        """Publish until cancelled. Raises Fenced, DeliveryFailed."""
        while True:
            publication = await self._queue.get()
            await self._publish(publication)
            self._queue.task_done()

    async def take_over(self, recovery: Recovery) -> None:
        """After recovery, before the first event: Redis becomes ours, and what an earlier owner may not have finished
        goes out again. Raises Fenced, DeliveryFailed.
        """
        # durable first: it proves that nobody claimed the partition after us
        await self._changelog.end_flush()
        intact = await self._writer.take_over("force" if recovery.state_was_lost else "check")
        if not intact and not self._table.record.rebuild_until:
            await self.rebuild()
        await self._republish(recovery.unpublished)

    async def _republish(self, keys: list[bytes]) -> None:
        table = self._table
        users = [user for key in keys if (user := table.user(key)) is not None]
        await self._to_redis([redis_change(user) for user in users], table.next_offset)
        unsent = [
            (number, user.key, change)
            for user in users
            for number, change in user.state.unsent
            if number > table.record.published
        ]
        unsent.sort(key=lambda entry: entry[0])  # by publication; a user's own changes stay in their order
        await self._send([(key, change) for _, key, change in unsent], [])
        table.record.published = table.pub

    async def rebuild(self) -> None:
        """Write all of the partition to Redis anew."""
        metrics.REBUILDS.inc()
        self.is_rewriting = True
        if self._table.store:
            log.warning("partition %d: rewriting all memberships in Redis", self._table.partition)
        while self.is_rewriting:
            # proves that we still own the partition: a replaced owner would write over what its successor wrote
            await self._changelog.end_flush()
            try:
                await self._writer.rebuild(self._all_users(), self._table.next_offset)
                self._shown = self._queued
                self.is_rewriting = False
            except Lost as lost:
                log.warning("lost again while it was rewritten: %s", lost)

    async def _publish(self, publication: Publication) -> None:
        if publication.durable is not None:
            await publication.durable
            crash_point("after_changelog")
        # older than what a rewritten Redis shows already: written, it would go back for an instant
        redis = publication.redis if self._finished >= self._shown else []
        await self._to_redis(redis, publication.next_offset)
        if publication.changes:
            crash_point("after_redis")
        await self._send(publication.changes, publication.dead)
        if publication.changes:
            crash_point("after_changes")
        if publication.number:
            self._table.record.published = publication.number
            for user in publication.users:
                if user.state.pub == publication.number:
                    user.state.unsent = []
        self._finished += 1
        if self._finished >= self._shown:
            self._writer.announce(publication.settled_us)
        publication.done()

    async def _to_redis(self, changes: list[RedisChange], next_offset: int) -> None:
        try:
            await self._writer.write(changes, next_offset)
        except Lost:
            await self.rebuild()

    async def _send(self, changes: list[tuple[bytes, bytes]], dead: list[DeadLetter]) -> None:
        if not changes and not dead:
            return
        group, partition = DeliveryGroup(), self._table.partition
        for key, change in changes:
            self._producer.send(MEMBERSHIP_CHANGES, key, change, partition=partition, group=group)
        for record, reason in dead:
            headers = dead_letter_headers(EVENTS, partition, record.offset, reason, record.headers)
            self._producer.send(DEAD_LETTERS, record.key, record.value, headers=headers, group=group)
        await group.seal()
        metrics.MEMBERSHIP_CHANGES.inc(len(changes))
        metrics.DEAD_LETTERS.labels(EVENTS).inc(len(dead))

    def _all_users(self) -> Iterator[User]:
        for key in list(self._table.store):
            user = self._table.user(key)
            if user is not None:
                yield user
            self._table.forget_clean()
