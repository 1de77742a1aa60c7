"""The owner of one partition: recovers its state, then takes batches, commands and the clock, one at a time.

Everything of a partition is in here and in the parts it holds; when the partition is taken away, all is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from services.evaluator.backfill import Backfills
from services.evaluator.changelog import ChangelogWriter
from services.evaluator.clock_watch import ClockWatch
from services.evaluator.dead_letter_ceiling import DeadLetterCeiling
from services.evaluator.merging import Merging
from services.evaluator.publisher import Publisher
from services.evaluator.records import RecordBatch
from services.evaluator.state_table import StateTable
from services.evaluator.step import DeadLetter, Step
from services.evaluator.transition import Outcome
from services.evaluator.wishes import Wishes
from shared.contracts.command import Command
from shared.contracts.progress import Progress
from shared.runtime import metrics
from shared.runtime.crash_points import crash_point

log = logging.getLogger(__name__)

WAITING_BATCHES = 4
"""Batches of a partition held back for folding; Faust's own queues wait beyond."""
RECORDS_A_SLICE = 500
"""After so many records the event loop gets a turn."""
USERS_A_SLICE = 300
"""So many users a sweep or a walk takes between two batches."""
IDLE_WRITE_US = 1_000_000
"""Redis hears of the clock at least so often, even when nothing happens."""
_CLOCK_LOOK_S = 0.5


class LostPlace(Exception):  # noqa: N818 - it names the thing
    """Stop: the batch delivered does not follow the last one folded, so events would be missed."""


class Horizon(msgspec.Struct, frozen=True):
    """A reading of the wall clock, and the end of the partition asked for after it: read up to `end_offset`, every
    event received before `now_us` is folded. `is_trusted`: the clock agreed with the brokers' when it was read;
    a reading from before it was set right stays wrong.
    """

    now_us: int
    end_offset: int
    is_trusted: bool = True


class Owner:
    """Processes one partition. `deliver`, `wish` and `look` are called from the event loop; `run` does the work."""

    def __init__(
        self,
        table: StateTable,
        step: Step,
        changelog: ChangelogWriter,
        publisher: Publisher,
        report: Callable[[Progress], None],
        clock: ClockWatch,
        ceiling: DeadLetterCeiling,
        backfills: Backfills,
    ) -> None:
        self.table = table
        self.stopped: str | None = None
        """Why nothing more of the partition is read, or None."""
        self._clock, self._ceiling = clock, ceiling
        self._step, self._changelog, self._publisher = step, changelog, publisher
        self._wishes = Wishes(table, changelog, report)
        self._batches: deque[tuple[RecordBatch, Callable[[], None]]] = deque()
        self._room = asyncio.Event()
        self._commands: deque[Command] = deque()
        self._horizon = Horizon(0, 0)
        self._written_at_us = 0
        self._read_through = table.record.flushed_through
        self._work = asyncio.Event()
        self._merging = Merging(table, step, self._wishes, changelog, backfills, self._work)
        self._resting = False
        self._rested = asyncio.Event()

    # --- what comes from outside -----------------------------------------------------------------------------

    async def deliver(self, batch: RecordBatch, done: Callable[[], None]) -> None:
        """Queue a batch, when there is room; `done` is called when all it led to is published.

        A batch for an owner at rest, or stopped, is dropped: whoever starts anew reads it again.
        """
        while len(self._batches) >= WAITING_BATCHES and not self._resting and not self.stopped:
            self._room.clear()
            await self._room.wait()
        if not self._resting and not self.stopped:
            self._batches.append((batch, done))
            self._work.set()

    def wish(self, command: Command) -> None:
        """Queue a command."""
        self._commands.append(command)
        self._work.set()

    def look(self, horizon: Horizon) -> None:
        """The clock moved on."""
        self._horizon = horizon
        self._work.set()

    async def flush(self) -> None:
        """Make all that is folded so far durable. Raises Fenced, DeliveryFailed."""
        # not `next_offset`: after a recovery some users are ahead of what has been read
        table, folded = self.table, self._read_through
        dirty = list(table.dirty)
        for start in range(0, len(dirty), USERS_A_SLICE):
            # some may have been written since, with users that turned
            self._changelog.put_users([key for key in dirty[start : start + USERS_A_SLICE] if key in table.dirty])
            await asyncio.sleep(0)  # a turn for the others
        self._changelog.erase(table.take_erased())
        for segment_id in table.unwritten:
            self._changelog.put_segment(table.segments[segment_id])
        table.unwritten = set()
        table.record.flushed_through = max(table.record.flushed_through, folded)
        await self._changelog.end_flush()

    async def rest(self) -> None:
        """Begin nothing more, and wait for what is folded to be published. What waits to be folded is forgotten.

        Nothing may be written after the partition was given away: its next owner would take us for a zombie.
        """
        self._resting = True
        self._merging.close()
        self._room.set()
        self._work.set()
        await self._rested.wait()
        await self._publisher.drain()

    @property
    def is_rebuilding(self) -> bool:
        """Whether lookups cannot be answered yet: the log is read anew, or Redis is written anew."""
        return self.table.record.rebuild_until > 0 or self._publisher.is_rewriting

    # --- the work --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until told to rest. Raises Fenced, DeliveryFailed, LostPlace: the process must end."""
        try:
            await self._work_on()
        finally:
            self._merging.close()  # whatever ends the work: nobody must wait for room in it
        self._rested.set()

    async def _work_on(self) -> None:
        self._merging.ask()  # for what an earlier owner left to do
        while not self._resting:
            await self._work.wait()
            self._work.clear()
            await self._take_commands()
            if self._batches:
                batch, done = self._batches.popleft()
                self._room.set()
                await self._fold(batch, done)
            await self._end_rebuild()
            await self._let_time_pass()
            await self._merging.take(self.flush)
            await self._walk()
            if self._commands or self._batches or self._is_busy():
                self._work.set()
                await asyncio.sleep(0)  # a turn for the others

    async def _take_commands(self) -> None:
        if not self._commands:
            return
        batch = self._commands[0].outbox_id
        taken = [self._wishes.take(self._commands.popleft(), batch) for _ in range(len(self._commands))]
        if any(taken):
            self.table.compile()
            # the cutover is durable before any event is folded under the new plan, and before history is asked
            await self.flush()
        self._merging.ask()
        self._wishes.report_ready()

    async def _fold(self, batch: RecordBatch, done: Callable[[], None]) -> None:
        table = self.table
        if batch.start_offset > self._read_through:
            raise LostPlace(
                f"events partition {table.partition}: offset {self._read_through} comes next, "
                f"but the log is read from {batch.start_offset}"
            )
        if not await self._clocks_agree(batch):
            return
        out, dead = Outcome(table), []
        for start in range(0, len(batch.records), RECORDS_A_SLICE):
            records = batch.records[start : start + RECORDS_A_SLICE]
            dead += self._step.fold_records(records, out)
            table.next_offset = max(table.next_offset, records[-1].offset + 1)
            if len(batch.records) > RECORDS_A_SLICE:
                if out.users:
                    await self._publisher.publish(out, [], _nothing)
                    out = Outcome(table)
                await asyncio.sleep(0)  # a turn for the others
        last = self._ceiling.passed(batch.records, dead)
        if last is not None:
            self._stop(last)
            # not acknowledged: whoever starts anew begins with this batch
            dead, done = dead[: dead.index(last) + 1], _nothing
        else:
            self._read_through = max(self._read_through, batch.next_offset)
        table.next_offset = max(table.next_offset, self._read_through)
        table.forget_clean()
        metrics.EVENTS.inc(len(batch.records))
        metrics.FORGOTTEN_EVENT_IDS.inc(table.forgotten_ids)
        table.forgotten_ids = 0
        crash_point("after_fold")
        await self._publisher.publish(out, dead, done)

    async def _clocks_agree(self, batch: RecordBatch) -> bool:
        """Wait while the append times lie so far ahead that T, which never goes back, must not follow them.

        False: the partition was taken away meanwhile.
        """
        if not batch.records:
            return True
        newest = batch.records[-1]
        appended_us = newest.timestamp * 1000
        is_after = newest.offset >= self._horizon.end_offset > 0
        self._clock.appended(appended_us, self._horizon.now_us if is_after else None)
        while self._clock.is_ahead(appended_us) and not self._resting:
            await asyncio.sleep(_CLOCK_LOOK_S)  # a clock that is set right tells nobody
            self._clock.appended(appended_us)
        return not self._resting

    def _stop(self, last: DeadLetter) -> None:
        record, reason = last
        self.stopped = (
            f"partition {self.table.partition} stopped before offset {self._read_through}: too many messages in a row "
            f"cannot be used, offset {record.offset} because: {reason}"
        )
        log.error("%s", self.stopped)
        self._batches.clear()
        self._room.set()

    async def _end_rebuild(self) -> None:
        """When the log is read as far as it went when the state was found lost, lookups may be answered again."""
        if not 0 < self.table.record.rebuild_until <= self._read_through:
            return
        await self._publisher.drain()
        self.table.record.rebuild_until = 0
        await self._publisher.rebuild()
        log.info("partition %d: made anew from the log", self.table.partition)

    async def _let_time_pass(self) -> None:
        table, horizon = self.table, self._horizon
        # Not read to the end yet: events unread may extend what looks due, so only the log's own clock counts.
        if self._read_through >= horizon.end_offset and horizon.is_trusted:
            table.record.clock = max(table.record.clock, horizon.now_us)
        out = Outcome(table)
        self._step.sweep(table.record.clock, USERS_A_SLICE, out)
        idle = abs(horizon.now_us - self._written_at_us) >= IDLE_WRITE_US and self._publisher.idle
        if out.users or idle:
            self._written_at_us = horizon.now_us
            await self._publisher.publish(out, [], _swept if out.users else _nothing)

    def _is_busy(self) -> bool:
        someone_is_due = self.table.first_wake() <= self.table.record.clock
        return someone_is_due or self._wishes.walking or self._merging.is_waiting

    async def _walk(self) -> None:
        if not self._wishes.walking:
            return
        out = Outcome(self.table)
        for key, segment_ids in self._wishes.next_users(USERS_A_SLICE):
            self._step.reconcile(key, segment_ids, out)
        await self._publisher.publish(out, [], _nothing)
        self.table.forget_clean()
        if self._wishes.walk_is_done():
            await self._publisher.drain()
            self._wishes.end_walk()
            await self.flush()
            self._wishes.report_switched()


def _nothing() -> None:
    """Nobody waits for a publication without a batch."""


def _swept() -> None:
    """The same, of users that time turned."""
    crash_point("after_sweep_changes")
