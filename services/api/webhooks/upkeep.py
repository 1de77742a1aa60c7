"""Counts what waits to be sent, and removes what was sent long ago."""

from services.api.database import Database
from services.api.webhooks.rounds import rounds
from shared.runtime.metrics import API_WEBHOOK_PENDING, API_WEBHOOK_PENDING_SECONDS

_INTERVAL_S = 5.0
_REMOVED_AT_ONCE = 1_000
_DAY_S = 86_400


class WebhookUpkeep:
    """Runs in one process at a time (services.api.leadership)."""

    def __init__(self, database: Database, kept_days: float) -> None:
        """`kept_days`: so long deliveries are kept after their end."""
        self._database, self._kept_s = database, kept_days * _DAY_S

    async def run(self) -> None:
        """Until cancelled; then nothing waits here, for all that this process knows."""
        try:
            await rounds("the upkeep of webhooks", self._once)
        finally:
            _show(0, 0.0)

    async def _once(self) -> float:
        async with self._database.begin_for_all() as work:
            removed = await work.deliveries.remove_old(self._kept_s, _REMOVED_AT_ONCE)
            await work.webhooks.remove_deleted()
            _show(*await work.deliveries.pending())
        return 0 if removed >= _REMOVED_AT_ONCE else _INTERVAL_S


def _show(pending: int, oldest_s: float) -> None:
    API_WEBHOOK_PENDING.set(pending)
    API_WEBHOOK_PENDING_SECONDS.set(oldest_s)
