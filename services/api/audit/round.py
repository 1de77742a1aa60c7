"""One round of the audit: the live answers of a sample of users against what history says of them.

What may race is excluded, or looked at again: `docs/decisions/0026-a-standing-audit.md`.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from services.api.audit.comparison import Compared, Reading, Suspect, compare, is_settled
from services.api.audit.reading import read_partition
from services.api.audit.sampled_history import SampledHistory
from services.api.audit.segments import Asked, choose
from services.api.audit.skipped import Skipped
from services.api.database import Database
from services.api.repository.audits import Counts, Mismatch
from shared.runtime.clock import Clock

_LOOKS = 3
"""A difference is one when two looks in a row agree on it; a further look is for answers that turn in between."""
_SETTLE_S = 20.0
_LOOK_EVERY_S = 0.2


class Scope(NamedTuple):
    """How much one round looks at: partitions of `events`; users and segments at most."""

    partitions: int
    users: int
    segments: int


class Found(NamedTuple):
    """What came of a round, in pairs of user and segment.

    passed: not compared, a stored turn had passed. changed: of segments that were changed meanwhile. undecided:
    differences that did not stay the same for two looks.
    """

    checked: int
    passed: int
    changed: int
    undecided: int
    mismatches: list[Mismatch]

    @property
    def counts(self) -> Counts:
        """As they are stored."""
        return Counts(self.checked, self.passed + self.changed + self.undecided, len(self.mismatches))


class Round:
    """Makes rounds; any number of them one after the other."""

    def __init__(self, database: Database, redis: Redis, clock: Clock, history: SampledHistory, scope: Scope) -> None:
        self._database, self._redis, self._clock = database, redis, clock
        self._history, self._scope = history, scope

    async def run(self, tenant: int, partition: int) -> Found:
        """Check some users of a tenant in one partition. Raises Skipped, DatabaseUnavailable."""
        asked = await choose(self._database, tenant, self._scope.partitions, self._scope.segments)
        if not asked.definitions:
            raise Skipped("nothing", "no segment of the tenant can be compared")
        log = await self._read(tenant, partition, ())
        users = await self._history.sample(log.log_epoch, tenant, partition, self._scope.users)
        if not users:
            raise Skipped("nothing", "history knows no user of the tenant in the partition")
        reading = await self._read(tenant, partition, users)
        first = await self._look(tenant, partition, reading, asked)
        confirmed, undecided = await self._look_again(tenant, partition, reading, asked, first.suspects)
        async with self._database.begin_for_all() as work:
            unchanged = asked.unchanged(await work.audits.states(tenant, self._scope.partitions))
        return _found(first, confirmed, undecided, asked, unchanged, partition)

    async def _read(self, tenant: int, partition: int, users: Collection[str]) -> Reading:
        return await read_partition(self._redis, self._clock, partition, tenant, list(users))

    async def _look(self, tenant: int, partition: int, reading: Reading, asked: Asked) -> Compared:
        known, members = await self._history.members(tenant, partition, reading, asked)
        # one whom history does not know up to here has just become known, or is just being forgotten
        values = {user_id: value for user_id, value in reading.values.items() if user_id in known}
        return compare(reading._replace(values=values), members)

    async def _look_again(
        self, tenant: int, partition: int, reading: Reading, asked: Asked, suspects: frozenset[Suspect]
    ) -> tuple[dict[Suspect, Reading], frozenset[Suspect]]:
        """The suspects that two looks in a row agree on, with the second's reading; and those left open."""
        confirmed: dict[Suspect, Reading] = {}
        for _ in range(_LOOKS - 1):
            if not suspects:
                break
            pairs = {(each.user_id, each.segment_id) for each in suspects}
            later = await self._settled(tenant, partition, reading, {user_id for user_id, _ in pairs})
            if later is None:
                break
            narrowed = asked.only({segment_id for _, segment_id in pairs})
            again = (await self._look(tenant, partition, later, narrowed)).suspects
            confirmed |= dict.fromkeys(suspects & again, later)
            suspects = frozenset(each for each in again - suspects if (each.user_id, each.segment_id) in pairs)
            reading = later
        return confirmed, suspects

    async def _settled(self, tenant: int, partition: int, earlier: Reading, users: set[str]) -> Reading | None:
        """A reading that has all that was on its way at the earlier one; None if there is none in time."""
        log = await self._history.log()
        if log is None:
            return None
        try:
            async with asyncio.timeout(_SETTLE_S):
                while True:
                    later = await self._read(tenant, partition, users)
                    if is_settled(earlier, later, log.end_offsets[partition]):
                        return later
                    await asyncio.sleep(_LOOK_EVERY_S)  # between two looks: Redis does not tell
        except TimeoutError:
            return None


def _found(
    first: Compared,
    confirmed: Mapping[Suspect, Reading],
    undecided: Collection[Suspect],
    asked: Asked,
    unchanged: Collection[int],
    partition: int,
) -> Found:
    mismatches = [
        Mismatch(
            suspect.user_id,
            suspect.segment_id,
            asked.states[suspect.segment_id].active_version or 0,
            suspect.live,
            not suspect.live,
            reading.clock,
            reading.log_epoch,
            partition,
            reading.next_offset,
        )
        for suspect, reading in sorted(confirmed.items())
        if suspect.segment_id in unchanged
    ]
    checked = sum(count for segment_id, count in first.checked.items() if segment_id in unchanged)
    changed = sum(count for segment_id, count in first.checked.items() if segment_id not in unchanged)
    left = sum(suspect.segment_id in unchanged for suspect in undecided)
    return Found(checked - left, sum(first.passed.values()), changed, left, mismatches)
