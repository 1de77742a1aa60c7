"""Which partitions are ours: taking each one (claim, recover, catch up, take over Redis), and dropping it whole."""

import asyncio
import functools
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from confluent_kafka import Consumer, KafkaException
from redis.asyncio import Redis

from services.evaluator import changelog
from services.evaluator.answering import Answering
from services.evaluator.backfill import Backfills
from services.evaluator.catalog import Catalog
from services.evaluator.changelog import ChangelogWriter, Fenced, UnreadableState
from services.evaluator.clock_watch import ClockWatch
from services.evaluator.dead_letter_ceiling import DeadLetterCeiling
from services.evaluator.history import History
from services.evaluator.holding import Holding
from services.evaluator.membership_writer import MembershipWriter
from services.evaluator.owner import LostPlace, Owner
from services.evaluator.producer import DeliveryFailed, DeliveryGroup, LoopProducer
from services.evaluator.publisher import Publisher
from services.evaluator.records import RecordBatch
from services.evaluator.recovery import Recovery, Refused, read_log, recovered
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.step import Step
from shared.contracts.progress import Progress, encode_progress, progress_key
from shared.contracts.topics import PROGRESS
from shared.history.errors import HistoryFault
from shared.runtime import metrics
from shared.runtime.crash_points import crash_point
from shared.runtime.process import EXIT_REFUSED, EXIT_STOOD_STILL, Watchdog, give_back_memory

log = logging.getLogger(__name__)

RECOVERIES_AT_ONCE = 4
_CANCEL_AGAIN_S = 0.1
DRAIN_S = 10
"""So long a partition that is taken away may finish what is under way; the rest is folded again by the next owner."""

ENDS_PROCESS = (Fenced, LostPlace, DeliveryFailed, UnreadableState, KafkaException, HistoryFault)
"""What ends a worker with one clear line: starting again recovers from what is durable."""


class Assignment:
    """All partitions we own."""

    def __init__(
        self,
        producer: LoopProducer,
        catalog: Catalog,
        redis: Redis,
        new_consumer: Callable[[], Consumer],
        watchdog: Watchdog,
        clock: ClockWatch,
        history: History,
        settings: EvaluatorSettings,
        *,
        worker: str,
        log_epoch: str,
        end: Callable[[str, int], None],
    ) -> None:
        """`end` is told why the process must end, and its exit code."""
        self._producer, self._catalog, self._redis, self._new_consumer = producer, catalog, redis, new_consumer
        self._watchdog, self._clock, self._settings, self._worker = watchdog, clock, settings, worker
        self._log_epoch, self._end = log_epoch, end
        self._history, self.backfills = history, Backfills(history)
        self._holdings: dict[int, Holding] = {}
        self._pool = ThreadPoolExecutor(RECOVERIES_AT_ONCE, "recovery")
        self._recoveries = asyncio.Semaphore(RECOVERIES_AT_ONCE)
        self.trouble: dict[int, str] = {}
        """Partition -> why Redis cannot be written."""

    def owners(self) -> Iterator[Owner]:
        """The owners that are at work."""
        for holding in self._holdings.values():
            if holding.owner.done() and not holding.owner.cancelled():
                yield holding.owner.result()

    @property
    def recovering(self) -> list[int]:
        """The partitions taken but not at work yet."""
        return [p for p, holding in self._holdings.items() if not holding.owner.done()]

    @property
    def rebuilding(self) -> list[int]:
        """The partitions whose memberships are being made anew, because the state or what Redis held was lost."""
        return [owner.table.partition for owner in self.owners() if owner.is_rebuilding]

    @property
    def at_bound(self) -> int:
        """How many users a list of whom came to its bound, as far as that was seen since their partition was taken."""
        return sum(len(owner.table.at_bound) for owner in self.owners())

    @property
    def stopped(self) -> list[str]:
        """Why some partitions are not read any further."""
        return [owner.stopped for owner in self.owners() if owner.stopped]

    async def take(self, partitions: frozenset[int]) -> None:
        """Begin to own exactly these partitions, each from what is durable."""
        await self.drop()
        for partition in sorted(partitions):
            holding = self._holdings[partition] = Holding(partition)
            self._catalog.follow(partition, holding)
            holding.tasks.append(self._guarded(holding, self._set_up(holding)))
        metrics.PARTITIONS.set(len(partitions))

    async def deliver(self, batch: RecordBatch, done: Callable[[], None]) -> None:
        """Hand a batch to its partition's owner, when it is ready; one of a partition that is not ours is dropped."""
        holding = self._holdings.get(batch.partition)
        if holding is None:
            return
        try:
            owner = await asyncio.shield(holding.owner)
        except asyncio.CancelledError:
            if holding.owner.cancelled():
                return  # taken away meanwhile: its next owner reads the batch again
            raise
        await owner.deliver(batch, done)

    async def flush(self, partitions: list[int]) -> None:
        """Make what these partitions' owners folded durable."""
        owners = [owner for owner in self.owners() if owner.table.partition in partitions]
        crash_point("before_flush")
        await asyncio.gather(*(owner.flush() for owner in owners))
        crash_point("before_commit")

    async def rest(self) -> None:
        """Begin nothing more; finish what is under way, for a limited time."""
        draining = [owner.rest() for owner in self.owners()]
        try:
            await asyncio.wait_for(asyncio.gather(*draining), DRAIN_S)
        except TimeoutError:
            log.warning("some changes were not published within %d s; the next owner publishes them", DRAIN_S)

    async def drop(self) -> None:
        """Forget everything of every partition: another worker may own it from now on."""
        holdings, self._holdings = self._holdings, {}
        for holding in holdings.values():
            self._catalog.leave(holding.partition)
            holding.owner.cancel()
            self._watchdog.disarm(_part(holding.partition))
        await _ended({task for holding in holdings.values() for task in holding.tasks})
        if holdings:
            await asyncio.to_thread(self._producer.flush, DRAIN_S)
            # Owners and their tasks refer to each other, and full collections are rare: without this the states of
            # every partition ever owned would stay in memory.
            holdings.clear()
            gc.collect()
            await asyncio.to_thread(give_back_memory)
        self.trouble.clear()
        metrics.PARTITIONS.set(0)

    def close(self) -> None:
        """End the threads."""
        self.backfills.close()
        self._pool.shutdown(cancel_futures=True)

    async def _set_up(self, holding: Holding) -> None:
        partition = holding.partition
        async with self._recoveries:
            recovery = await self._recovered(partition)
        table = recovery.table
        changes = ChangelogWriter(self._producer, table, self._new_consumer)
        writer = MembershipWriter(self._redis, table, lambda why: self._note_trouble(partition, why))
        publisher = Publisher(table, changes, writer, self._producer)
        await publisher.take_over(recovery)
        report = functools.partial(self._report, holding)
        ceiling = DeadLetterCeiling(self._settings.unusable_in_a_row)
        step = Step(table, self._settings.partitions)
        owner = Owner(table, step, changes, publisher, report, self._clock, ceiling, self.backfills)
        holding.tasks.append(self._guarded(holding, publisher.run()))
        await holding.hand_commands(owner)
        working = self._guarded(holding, owner.run())
        holding.tasks.append(working)
        await self._catch_up(owner, recovery)
        holding.open(owner)
        holding.tasks.append(self._guarded(holding, Answering(self._redis, owner).run()))
        self._watchdog.disarm(_part(partition))
        log.info(
            "partition %d: ours from epoch %d, %d users, next offset %d",
            partition,
            table.record.epoch,
            len(table.store),
            table.next_offset,
        )
        if not self.recovering:
            await asyncio.to_thread(give_back_memory)

    async def _recovered(self, partition: int) -> Recovery:
        part = _part(partition)
        self._watchdog.arm(part)
        now_us = self._clock.now_us()
        epoch = await changelog.claim(self._producer, partition, self._worker, self._clock)
        loop, consumer = asyncio.get_running_loop(), self._new_consumer()
        recover = functools.partial(
            recovered,
            consumer,
            partition,
            (epoch, now_us),
            self._log_epoch,
            lambda: self._watchdog.beat(part),
            self._history.next_offset,
            accept_lost=self._settings.accept_lost_events,
        )
        try:
            return await loop.run_in_executor(self._pool, recover)
        finally:
            loop.run_in_executor(None, consumer.close)

    async def _catch_up(self, owner: Owner, recovery: Recovery) -> None:
        """Read what the state lacks and the group does not read again; from history what the log has no more."""
        table, end = owner.table, recovery.read_until
        start = table.record.flushed_through
        if start >= end:
            return
        log.warning("partition %d: events %d to %d are read again", table.partition, start, end)
        loop, consumer = asyncio.get_running_loop(), self._new_consumer()
        batches = self._batches_of(consumer, table.partition, start, recovery.log_start, end)
        try:
            while (batch := await loop.run_in_executor(self._pool, next, batches, None)) is not None:
                self._watchdog.beat(_part(table.partition))
                await owner.deliver(batch, _nothing)
        finally:
            loop.run_in_executor(None, consumer.close)

    def _batches_of(
        self, consumer: Consumer, partition: int, start: int, log_start: int, end: int
    ) -> Iterator[RecordBatch]:
        if start < log_start:
            yield from self._history.replay(partition, start, log_start)
        yield from read_log(consumer, partition, max(start, log_start), end)

    def _guarded(self, holding: Holding, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        async def run() -> None:
            try:
                await work
            except Refused as error:
                self._end(str(error), EXIT_REFUSED)
            except ENDS_PROCESS as error:
                self._end(str(error.args[0] if error.args else error), EXIT_STOOD_STILL)
            except Exception:
                log.exception("partition %d: a defect", holding.partition)
                self._end(f"partition {holding.partition}: a defect, see the traceback above", EXIT_STOOD_STILL)

        return asyncio.create_task(run(), name=f"partition {holding.partition}")

    def _report(self, holding: Holding, progress: Progress) -> None:
        """Tell the api; a report that cannot be delivered ends the process, whose successor reports again."""
        group = DeliveryGroup()
        self._producer.send(PROGRESS, progress_key(progress), encode_progress(progress), group=group)

        async def delivered() -> None:
            await group.seal()

        task = self._guarded(holding, delivered())
        holding.tasks.append(task)
        task.add_done_callback(holding.forget)

    def _note_trouble(self, partition: int, why: str | None) -> None:
        if why is None:
            self.trouble.pop(partition, None)
        elif partition not in self.trouble:
            log.warning("partition %d: %s; waiting", partition, why)
            self.trouble[partition] = why


async def _ended(tasks: "set[asyncio.Task[None]]") -> None:
    """Cancel until all have ended: `asyncio.wait_for`, which the client of Redis uses, may swallow a cancellation."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_S)


def _part(partition: int) -> str:
    """What the watchdog watches while a partition is taken."""
    return f"recovery of partition {partition}"


def _nothing() -> None:
    """What is read again was committed before: nobody waits for it."""
