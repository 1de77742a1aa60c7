"""What commands ask of one partition: cutovers, plans, and the walks that give every user the new answer."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec

from services.evaluator.changelog import ChangelogWriter
from services.evaluator.state_records import SCHEMA_VERSION, PlanVersion, SegmentRecord
from services.evaluator.state_table import StateTable
from shared.contracts.command import Command, VersionWish
from shared.contracts.progress import Progress
from shared.domain.errors import InvalidDefinition
from shared.domain.plan import Plan

log = logging.getLogger(__name__)


class Walk:
    """A way through all users of a tenant, on behalf of some segments."""

    def __init__(self, tenant: int, keys: list[bytes], segment_ids: set[int]) -> None:
        self.tenant, self.keys, self.segment_ids = tenant, keys, segment_ids
        self.position = 0


def with_dependents(plan: Plan | None, segment_ids: set[int]) -> set[int]:
    """The segments whose answers a new wish for these may change: they, and the serving ones that refer to them.

    `plan` is the one with the new wish. One that serves no longer is still named by those that refer to it; nothing
    behind it is, for what has no members whatever it refers to changes nobody's answer.
    """
    serving = plan.segments.values() if plan is not None else ()
    return segment_ids.union(segment.segment_id for segment in serving if segment.refers_to & segment_ids)


class Wishes:
    """Takes commands into a partition's table and says what follows from them."""

    def __init__(self, table: StateTable, changelog: ChangelogWriter, report: Callable[[Progress], None]) -> None:
        self._table, self._changelog, self._report = table, changelog, report
        self._walks: list[Walk] = []
        self._ready: list[Progress] = []
        self._lacking = [(n, version) for n, record in table.segments.items() for version in record.versions]
        for record in table.segments.values():  # walks that an earlier owner, or version of us, left to do
            if not record.reconciled or record.schema_version < SCHEMA_VERSION:
                self._begin_walk(record)

    # --- commands --------------------------------------------------------------------------------------------

    def take(self, command: Command, batch: int) -> bool:
        """Follow the command; whether something must be made durable before `report_ready` tells the api.

        `batch`: the number of the first of the commands that are taken together.
        """
        known = self._table.segments.get(command.segment_id)
        if known is not None and command.outbox_id <= known.outbox_id:
            self._repeat_report(known, command)
            return False
        record = self._record(command, known, batch)
        try:
            self._table.put_segment(record)
        except InvalidDefinition as error:
            log.error("segment %d: %s", command.segment_id, error)  # noqa: TRY400 - one line says all
            self._ready.append(self._progress(record, "failed", error=str(error)))
            return True
        self._changelog.put_segment(record)
        self._lacking += [(record.segment_id, version) for version in record.versions]
        self._await_report(record)
        if not record.reconciled:
            self._begin_walk(record)
        return True

    def report_ready(self) -> None:
        """Tell the api what `take` found, now that it is durable."""
        for progress in self._ready:
            self._report(progress)
        self._ready = []

    # --- history -----------------------------------------------------------------------------------------------

    def take_lacking(self) -> list[tuple[int, PlanVersion]]:
        """The versions, with their segments, for which history must be asked; each is given out once.

        What they lack is known once their plan is compiled, and may be asked for once their cutover is durable.
        """
        taken, self._lacking = self._lacking, []
        return [(segment_id, version) for segment_id, version in taken if self.lacks(segment_id, version)]

    def lacks(self, segment_id: int, version: PlanVersion) -> bool:
        """Whether this version is followed and waits for what history knows."""
        record = self._table.segments.get(segment_id)
        return bool(version.lacking) and record is not None and version in record.versions

    def complete(self, segment_id: int, version: PlanVersion) -> None:
        """Every user has what history knows, durably; to be followed by a flush and `report_ready`."""
        record = self._table.complete(segment_id, version)
        if record.serving is not None and record.serving.version == version.version:
            record = self._table.segments[segment_id] = msgspec.structs.replace(record, reconciled=False)
            self._begin_walk(record)  # it was asked before it had everything
        self._changelog.put_segment(record)
        self._await_report(record)

    def fail(self, segment_id: int, reason: str) -> None:
        """History cannot be merged: the api ends the compute, and wishes for what served before."""
        self._report(self._progress(self._table.segments[segment_id], "failed", error=reason))

    # --- walks -----------------------------------------------------------------------------------------------

    @property
    def walking(self) -> bool:
        """Whether some users have not the answer of the last wishes yet."""
        return bool(self._walks)

    def next_users(self, limit: int) -> Iterator[tuple[bytes, set[int]]]:
        """The next users of the walk under way, with the segments to evaluate for them."""
        walk = self._walks[0]
        segment_ids = with_dependents(self._table.plans.get(walk.tenant), walk.segment_ids)
        for key in walk.keys[walk.position : walk.position + limit]:
            yield key, segment_ids
        walk.position += limit

    def walk_is_done(self) -> bool:
        """Whether the walk under way has seen everybody."""
        return self._walks[0].position >= len(self._walks[0].keys)

    def end_walk(self) -> None:
        """Note in each segment of the walk that everybody has the answer."""
        for segment_id in sorted(self._walks[0].segment_ids):
            record = msgspec.structs.replace(
                self._table.segments[segment_id], reconciled=True, schema_version=SCHEMA_VERSION
            )
            self._table.segments[segment_id] = record
            self._changelog.put_segment(record)

    def report_switched(self) -> None:
        """Tell the api that the walk is done and durable."""
        for segment_id in sorted(self._walks.pop(0).segment_ids):
            record = self._table.segments[segment_id]
            if record.is_complete:
                self._report(self._progress(record, "switched"))

    def _begin_walk(self, record: SegmentRecord) -> None:
        for walk in self._walks:
            walk.segment_ids.discard(record.segment_id)  # the new wish replaces the one it walked for
        for walk in self._walks:
            if walk.tenant == record.tenant and walk.position == 0:
                walk.segment_ids.add(record.segment_id)
                return
        keys = self._table.keys_of(record.tenant)
        self._walks.append(Walk(record.tenant, keys, {record.segment_id}))

    # --- records ---------------------------------------------------------------------------------------------

    def _record(self, command: Command, known: SegmentRecord | None, batch: int) -> SegmentRecord:
        serving, computing = (
            self._version(command, wish, known, batch) for wish in (command.serving, command.computing)
        )
        unchanged = (
            known is not None
            and known.reconciled
            and computing is not None
            and serving == known.serving
            # what another one gathered in vain is taken out of every user
            and known.computing in (None, computing)
        )
        return SegmentRecord(
            schema_version=SCHEMA_VERSION,
            epoch=self._table.record.epoch,
            tenant=command.tenant,
            segment_id=command.segment_id,
            outbox_id=command.outbox_id,
            serving=serving,
            computing=computing,
            deleted=command.deleted,
            # a wish that only begins to compute leaves every answer as it is
            reconciled=unchanged or (known is None and serving is None),
        )

    def _version(
        self, command: Command, wish: VersionWish | None, known: SegmentRecord | None, batch: int
    ) -> PlanVersion | None:
        """The version with its cutover: the one it has, or the next offset to fold."""
        if wish is None:
            return None
        for version in known.versions if known is not None else ():
            if version.version == wish.version:
                return version
        version = PlanVersion(wish.version, wish.definition, self._table.next_offset, wish=batch)
        with suppress(InvalidDefinition):  # `put_segment` refuses it
            version = self._table.planned(command.tenant, command.segment_id, version)
        return version

    def _repeat_report(self, known: SegmentRecord, command: Command) -> None:
        """The relay repeats itself when it starts: so do our reports, which may have been lost with the api."""
        if command.outbox_id == known.outbox_id:
            self._await_report(known)

    def _await_report(self, record: SegmentRecord) -> None:
        """Report what needs no walk, once it is durable."""
        if not record.is_complete:
            return
        if record.computing is not None:
            self._ready.append(self._progress(record, "ready"))
        elif record.reconciled:
            self._ready.append(self._progress(record, "switched"))

    def _progress(self, record: SegmentRecord, status: str, error: str | None = None) -> Progress:
        version = record.computing or record.serving
        return Progress(
            kind="segment",
            id=record.segment_id,
            outbox_id=record.outbox_id,
            status=status,  # type: ignore[arg-type] # one of Progress's, by our callers
            version=version.version if version is not None else None,
            partition=self._table.partition,
            cutover=version.cutover if version is not None else None,
            error=error,
        )
