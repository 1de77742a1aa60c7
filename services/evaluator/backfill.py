"""Computes from history what versions lack: one scan for all versions and partitions of a tenant that wait for it.

History has passed a cutover when the table itself says so, in the snapshot whose files are read. What is found goes
through the queue of each partition's owner, who merges it into each user once.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from services.evaluator.history import History
from services.evaluator.merges import End, Merges, Part
from services.evaluator.state_records import PlanVersion
from shared.domain.aggregate import Aggregate
from shared.domain.plan import SlotPlan
from shared.domain.user_state import Slots
from shared.history.errors import HistoryFault, HistoryUnavailable
from shared.history.partials import Found
from shared.history.snapshot import Snapshot
from shared.history.want import Want
from shared.runtime import metrics

log = logging.getLogger(__name__)

USERS_A_PART = 300
_LOOK_AGAIN_S = 0.5
_SHARE_S = 3.0
"""So long a version for which history has come far enough waits for others, to be found in the same scan."""


class Ask(NamedTuple):
    """What a version lacks in one partition.

    slots: those of the plan that history must fill, each below its own `since`. as_of_us: no evaluation to come is
    earlier. merges: where it goes.
    """

    partition: int
    tenant: int
    segment_id: int
    version: PlanVersion
    slots: Sequence[SlotPlan]
    as_of_us: int
    merges: Merges

    def is_within(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot has all that is asked for."""
        archived = snapshot.next_offsets.get(self.partition, 0)
        return all(slot.since <= archived for slot in self.slots)


class Backfills:
    """The backfills of one worker, one scan at a time."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._asked: list[Ask] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "backfill")
        self._complaint = ""

    def ask(self, ask: Ask) -> None:
        """Queue it; the answer is parts and an end in the partition's queue."""
        self._asked.append(ask)
        self._wake.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        loop, ready_since = asyncio.get_running_loop(), 0.0
        while True:
            await self._wake.wait()
            self._asked = [ask for ask in self._asked if not ask.merges.is_closed]
            metrics.BACKFILLS_WAITING.set(len(self._asked))
            if not self._asked:
                self._wake.clear()
                continue
            snapshot = await loop.run_in_executor(self._thread, self._snapshot)
            ready, waiting = _divided(self._asked, snapshot)
            ready_since = (ready_since or time.monotonic()) if ready else 0.0
            if snapshot is None or not ready or (waiting and time.monotonic() - ready_since < _SHARE_S):
                await asyncio.sleep(_LOOK_AGAIN_S)  # the history of others tells nobody
                continue
            ready_since, self._asked = 0.0, waiting
            for tenant in {ask.tenant for ask in ready}:
                await self._answer(snapshot, tenant, [ask for ask in ready if ask.tenant == tenant])

    def close(self) -> None:
        """End the thread; what it does is given up with the queues it fills."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _snapshot(self) -> Snapshot | None:
        try:
            snapshot = self._history.snapshot()
        except HistoryUnavailable as fault:
            if str(fault) != self._complaint:
                log.warning("the history cannot be read, %d backfills wait: %s", len(self._asked), fault)
            self._complaint = str(fault)
            return None
        self._complaint = ""
        return snapshot

    async def _answer(self, snapshot: Snapshot, tenant: int, asks: list[Ask]) -> None:
        loop, began = asyncio.get_running_loop(), time.monotonic()
        fault: str | None = None
        try:
            users = await loop.run_in_executor(self._thread, self._scan, loop, snapshot, tenant, asks)
        except HistoryUnavailable as unavailable:
            log.warning("the history was lost while it was read, its backfills begin anew: %s", unavailable)
            self._asked += asks
            await asyncio.sleep(_LOOK_AGAIN_S)  # or they would be asked without a pause while it stays away
            return
        except HistoryFault as broken:
            fault = str(broken)
            log.error("tenant %d: %d backfills failed: %s", tenant, len(asks), fault)  # noqa: TRY400 - one line
        except Exception as defect:  # the compute must come to an end, and say why
            log.exception("tenant %d: a defect", tenant)
            fault = f"a defect: {defect!r}"
        else:
            seconds = time.monotonic() - began
            log.info("tenant %d: %d backfills of %d users in %.1f s", tenant, len(asks), users, seconds)
        metrics.BACKFILLS.labels("failed" if fault else "done").inc(len(asks))
        for ask in asks:
            await ask.merges.put(End(ask.segment_id, ask.version, fault))

    def _scan(self, loop: asyncio.AbstractEventLoop, snapshot: Snapshot, tenant: int, asks: list[Ask]) -> int:
        """Read once for all; how many users of partitions were found. In the thread."""
        wants, keys = _wants(asks)
        queues, users = {ask.partition: ask.merges for ask in asks}, 0
        as_of_us = min(ask.as_of_us for ask in asks)
        for found in self._history.partials(snapshot, tenant, wants, as_of_us):
            for partition, part in _parts(found, keys):
                users += len(part)
                asyncio.run_coroutine_threadsafe(queues[partition].put(Part(tenant, part)), loop).result()
            if all(queue.is_closed for queue in queues.values()):
                break  # nobody waits for the rest
        metrics.BACKFILLED_USERS.inc(users)
        return users


def _divided(asked: Sequence[Ask], snapshot: Snapshot | None) -> tuple[list[Ask], list[Ask]]:
    """Those that the snapshot has all for, and the others."""
    ready: list[Ask] = []
    waiting: list[Ask] = []
    for ask in asked:
        (ready if snapshot is not None and ask.is_within(snapshot) else waiting).append(ask)
    return ready, waiting


Keys = dict[int, list[tuple[int, str]]]
"""Partition -> which want is for which slot."""


def _wants(asks: Sequence[Ask]) -> tuple[list[Want], Keys]:
    """Each aggregate once for all partitions, and once for all versions that lack it below the same offsets."""
    lacking: dict[tuple[int, int, Aggregate], dict[int, SlotPlan]] = defaultdict(dict)
    for ask in asks:
        for slot in ask.slots:
            lacking[ask.segment_id, ask.version.version, slot.aggregate][ask.partition] = slot
    same: dict[tuple[Aggregate, tuple[tuple[int, int], ...]], list[dict[int, SlotPlan]]] = defaultdict(list)
    for (_, _, aggregate), slots in lacking.items():
        same[aggregate, tuple(sorted((p, slot.since) for p, slot in slots.items()))].append(slots)
    wants: list[Want] = []
    keys: Keys = defaultdict(list)
    for (aggregate, below), sharing in same.items():
        plans = [slot for slots in sharing for slot in slots.values()]
        for slots in sharing:
            for partition, slot in slots.items():
                if (len(wants), slot.key) not in keys[partition]:
                    keys[partition].append((len(wants), slot.key))
        windows = tuple(sorted({window for slot in plans for window in slot.windows}))
        wants.append(Want(aggregate, windows, max(slot.newest for slot in plans), dict(below)))
    return wants, keys


def _parts(found: Sequence[Found], keys: Keys) -> Iterator[tuple[int, list[tuple[str, Slots]]]]:
    """What was found, by partition, in parts that are merged at once."""
    users: dict[int, list[tuple[str, Slots]]] = defaultdict(list)
    for partition, user_id, partials in found:
        # copied: a partial that fills two slots goes on in each by itself
        slots = {key: list(partial) for want, key in keys[partition] if (partial := partials[want]) is not None}
        if slots:
            users[partition].append((user_id, slots))
    for partition, of_partition in users.items():
        for start in range(0, len(of_partition), USERS_A_PART):
            yield partition, of_partition[start : start + USERS_A_PART]
