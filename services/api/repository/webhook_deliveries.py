"""SQL of what is sent to webhooks. Instants are those of PostgreSQL's clock, the one that all api processes share."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import webhook_deliveries, webhooks

_JITTER = 0.2
"""So much later, at most, as a share of the delay: who failed at once is not asked at once again."""


class DeliveryRow(NamedTuple):
    """One delivery, without its body; the columns are explained in services.api.tables."""

    id: int
    message_id: str
    event: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class Claimed(NamedTuple):
    """A delivery that is to be attempted now, and where. `attempts` were made before and have failed."""

    id: int
    webhook_id: int
    tenant: int
    url: str
    secret: str
    message_id: str
    event: str
    body: str
    attempts: int
    first_attempt_at: datetime


_table = webhook_deliveries.c
_COLUMNS = tuple(_table[name] for name in DeliveryRow._fields)
_CLAIMED = (
    _table.id, _table.webhook_id, webhooks.c.tenant_id, webhooks.c.url, webhooks.c.secret, _table.message_id,
    _table.event, _table.body, _table.attempts, _table.first_attempt_at,
)  # fmt: skip
_IS_DUE = (_table.status == "pending", _table.next_attempt_at <= func.now())


def new_message_id() -> str:
    """What a receiver knows a message by."""
    return f"msg_{uuid.uuid4().hex}"


class DeliveryRepository:
    """Deliveries within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, webhook_id: int, event: str, bodies: Sequence[str]) -> None:
        """Store what is to be sent, in this order."""
        rows = [
            {"webhook_id": webhook_id, "message_id": new_message_id(), "event": event, "body": body} for body in bodies
        ]
        await self._connection.execute(insert(webhook_deliveries), rows)

    async def add_finished(self, webhook_id: int, **values: Any) -> DeliveryRow:
        """Store what was sent once and for all."""
        finished = {
            "webhook_id": webhook_id,
            "body": "",
            "attempts": 1,
            "next_attempt_at": None,
            "finished_at": func.now(),
        }
        query = insert(webhook_deliveries).values(**finished, **values).returning(*_COLUMNS)
        return DeliveryRow(*(await self._connection.execute(query)).one())

    async def claim(self, busy: Collection[int], limit: int, lease_s: float) -> list[Claimed]:
        """The oldest delivery that is due of each active webhook that is not busy.

        They are due again after the lease, if nothing is noted of them before: whoever claimed them has died. Two who
        claim at once get different ones.
        """
        oldest = (
            select(func.min(_table.id))
            .join(webhooks, webhooks.c.id == _table.webhook_id)
            .where(*_IS_DUE, webhooks.c.is_active, _table.webhook_id.not_in(busy))
            .group_by(_table.webhook_id)
        )
        chosen = (
            select(_table.id)
            .where(_table.id.in_(oldest), *_IS_DUE)
            .order_by(_table.next_attempt_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update(webhook_deliveries)
            .where(_table.id.in_(chosen), webhooks.c.id == _table.webhook_id)
            .values(next_attempt_at=_in(lease_s), first_attempt_at=func.coalesce(_table.first_attempt_at, func.now()))
            .returning(*_CLAIMED)
        )
        return [Claimed(*row) for row in await self._connection.execute(claimed)]

    async def complete(self, delivery_id: int, body: str) -> None:
        """Set the body before the first attempt."""
        await self._connection.execute(
            update(webhook_deliveries).where(_table.id == delivery_id, _table.attempts == 0).values(body=body)
        )

    async def finish(self, delivery_id: int, status: str, last_status: int | None, last_error: str | None) -> bool:
        """Note that no further attempt is made; False when that was known."""
        values = {"status": status, "last_status": last_status, "last_error": last_error}
        result = await self._connection.execute(
            update(webhook_deliveries)
            .where(_table.id == delivery_id, _table.status == "pending")
            .values(**values, body="", attempts=_table.attempts + 1, next_attempt_at=None, finished_at=func.now())
        )
        return result.rowcount == 1

    async def put_off(self, claimed: Claimed, delay_s: float, last_status: int | None, last_error: str | None) -> None:
        """Note that an attempt failed; the next one is due after the delay and a little more."""
        later_s = delay_s * (1 + _JITTER * func.random())
        await self._connection.execute(
            update(webhook_deliveries)
            .where(_table.id == claimed.id, _table.status == "pending", _table.attempts == claimed.attempts)
            .values(
                attempts=claimed.attempts + 1,
                next_attempt_at=_in(later_s),
                last_status=last_status,
                last_error=last_error,
            )
        )

    async def revive(self, webhook_id: int) -> None:
        """Let all that is pending be due now, with all attempts before it."""
        await self._connection.execute(
            update(webhook_deliveries)
            .where(_table.webhook_id == webhook_id, _table.status == "pending")
            .values(attempts=0, first_attempt_at=None, next_attempt_at=func.now())
        )

    async def page(self, webhook_id: int, offset: int, limit: int) -> tuple[int, list[DeliveryRow]]:
        """How many are kept of the webhook, and a page of them, newest first."""
        count = select(func.count()).select_from(webhook_deliveries).where(_table.webhook_id == webhook_id)
        query = select(*_COLUMNS).where(_table.webhook_id == webhook_id).order_by(_table.id.desc())
        rows = [DeliveryRow(*row) for row in await self._connection.execute(query.offset(offset).limit(limit))]
        return int((await self._connection.execute(count)).scalar_one()), rows

    async def pending(self) -> tuple[int, float]:
        """How many wait, of active webhooks, and the age of the oldest in seconds; 0 when there is none."""
        age = func.coalesce(func.extract("epoch", func.now() - func.min(_table.created_at)), 0)
        query = (
            select(func.count(), age)
            .select_from(webhook_deliveries.join(webhooks, webhooks.c.id == _table.webhook_id))
            .where(_table.status == "pending", webhooks.c.is_active)
        )
        count, age_s = (await self._connection.execute(query)).one()
        return int(count), float(age_s)

    async def remove_old(self, older_than_s: float, limit: int) -> int:
        """Remove some that came to their end so long ago, or whose webhook is deleted; how many."""
        deleted = select(webhooks.c.id).where(webhooks.c.deleted_at.is_not(None))
        removed = 0
        for is_old in (_table.finished_at < _in(-older_than_s), _table.webhook_id.in_(deleted)):
            some = select(_table.id).where(is_old).limit(limit)
            result = await self._connection.execute(delete(webhook_deliveries).where(_table.id.in_(some)))
            removed += result.rowcount
        return removed


def _in(seconds: Any) -> Any:
    """The instant so many seconds from now."""
    return func.now() + seconds * func.make_interval(0, 0, 0, 0, 0, 0, 1)
