"""The owner's side of a backfill: asks history for what versions lack, and merges what it finds into each user once."""

import asyncio
from collections.abc import Awaitable, Callable

from services.evaluator.backfill import Ask, Backfills
from services.evaluator.changelog import ChangelogWriter
from services.evaluator.merges import End, Merges, Part
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.wishes import Wishes
from shared.runtime.crash_points import crash_point


class Merging:
    """Works between two batches of its owner, some users at a time."""

    def __init__(
        self,
        table: StateTable,
        step: Step,
        wishes: Wishes,
        changelog: ChangelogWriter,
        backfills: Backfills,
        wake: asyncio.Event,
    ) -> None:
        self._table, self._step, self._wishes, self._changelog = table, step, wishes, changelog
        self._backfills = backfills
        self._merges = Merges(wake)

    def ask(self) -> None:
        """Ask for all that versions lack and that was not asked for yet; their cutovers must be durable."""
        table = self._table
        for segment_id, version in self._wishes.take_lacking():
            slots, tenant = table.lacking(segment_id, version), table.segments[segment_id].tenant
            clock, partition = table.record.clock, table.partition
            self._backfills.ask(Ask(partition, tenant, segment_id, version, slots, clock, self._merges))

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to take."""
        return len(self._merges) > 0

    async def take(self, flush: Callable[[], Awaitable[None]]) -> None:
        """Take in some of what history found, or its end. `flush` makes durable what was merged so far."""
        match self._merges.take():
            case Part(tenant, users):
                for user_id, slots in users:
                    self._step.merge(tenant, user_id, slots)
                self._table.forget_clean()
                crash_point("after_merge")
            case End(segment_id, version, fault) if self._wishes.lacks(segment_id, version):
                if fault is not None:
                    self._wishes.fail(segment_id, fault)
                    return
                await flush()  # every user before the mark that says so
                crash_point("after_merges")
                self._wishes.complete(segment_id, version)
                await self._changelog.end_flush()
                self._wishes.report_ready()

    def close(self) -> None:
        """Take nothing more."""
        self._merges.close()
