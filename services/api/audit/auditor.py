"""The standing audit: a round every minute, every tenant and every partition in turn, for as long as this api leads."""

import asyncio
import logging
import time

from services.api.audit.round import Found, Round
from services.api.audit.skipped import Skipped
from services.api.database import Database, DatabaseUnavailable
from shared.runtime.metrics import (
    API_AUDIT_CHECKED,
    API_AUDIT_MISMATCHES,
    API_AUDIT_ROUNDS,
    API_AUDIT_SECONDS,
    API_AUDIT_SKIPPED,
)

_NAMED = 5

_log = logging.getLogger(__name__)


class Auditor:
    """Runs in one process at a time (services.api.leadership); two at once would check twice, and no harm done."""

    def __init__(self, database: Database, rounds: Round, partitions: int, interval_s: float) -> None:
        """`interval_s`: from the begin of one round to that of the next."""
        self._database, self._rounds = database, rounds
        self._partitions, self._interval_s = partitions, interval_s
        self._turn = 0

    async def run(self) -> None:
        """Make rounds until cancelled. Whatever one comes to, it ends nothing else."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(max(0.0, began + self._interval_s - loop.time()))
            began = loop.time()
            try:
                outcome = await self._round()
            except Skipped as skipped:
                outcome = skipped.reason
                _log.info("a round of the audit was skipped: %s", skipped)
            except DatabaseUnavailable as outage:
                outcome = "unavailable"
                _log.warning("a round of the audit was skipped: PostgreSQL: %s", outage)
            except Exception:  # noqa: BLE001 - it is logged; raised, it would end the relay, which leads beside it
                outcome = "failed"
                _log.exception("a round of the audit failed")
            API_AUDIT_ROUNDS.labels(outcome=outcome).inc()

    async def _round(self) -> str:
        async with self._database.begin_for_all() as work:
            tenants = await work.audits.tenants()
        if not tenants:
            return "nothing"
        tenant, partition = tenants[self._turn % len(tenants)], self._turn // len(tenants) % self._partitions
        self._turn += 1
        began_s = time.monotonic()
        found = await self._rounds.run(tenant, partition)
        API_AUDIT_SECONDS.observe(time.monotonic() - began_s)
        _count(tenant, found)
        async with self._database.begin_for_all() as work:
            await work.audits.add(tenant, found.counts, found.mismatches)
        return "done"


def _count(tenant: int, found: Found) -> None:
    API_AUDIT_CHECKED.inc(found.checked)
    API_AUDIT_MISMATCHES.inc(len(found.mismatches))
    for reason in ("passed", "changed", "undecided"):
        API_AUDIT_SKIPPED.labels(reason=reason).inc(getattr(found, reason))
    for mismatch in found.mismatches[:_NAMED]:
        _log.error("tenant %d: a live answer is not that of history: %s", tenant, mismatch)
    if len(found.mismatches) > _NAMED:
        _log.error("tenant %d: and %d more like it", tenant, len(found.mismatches) - _NAMED)
