"""SQL of webhooks."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, any_, delete, func, insert, literal, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import tenants, webhook_deliveries, webhooks


class WebhookRow(NamedTuple):
    """One webhook; the columns are explained in services.api.tables."""

    id: int
    tenant_id: int
    url: str
    secret: str
    description: str
    is_active: bool
    disabled_reason: str | None
    events: list[str]
    segment_ids: list[int] | None
    position: int | None
    last_delivered_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Follower(NamedTuple):
    """An active webhook that wants membership changes, those after `position`; `pending` deliveries wait for it."""

    id: int
    tenant: int
    tenant_slug: str
    segment_ids: list[int] | None
    position: int
    pending: int


_COLUMNS = tuple(webhooks.c[name] for name in WebhookRow._fields)


class WebhookRepository:
    """Webhooks within one transaction; a deleted one is inactive and never found."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, tenant: int, **values: Any) -> WebhookRow:
        """A new webhook."""
        query = insert(webhooks).values(tenant_id=tenant, **values).returning(*_COLUMNS)
        return WebhookRow(*(await self._connection.execute(query)).one())

    async def get(self, tenant: int, webhook_id: int, *, lock: bool = False) -> WebhookRow | None:
        """The tenant's webhook, or None. `lock`: other changes of it wait for the end of this transaction."""
        query = _of(tenant).where(webhooks.c.id == webhook_id)
        row = (await self._connection.execute(query.with_for_update(key_share=True) if lock else query)).one_or_none()
        return None if row is None else WebhookRow(*row)

    async def count(self, tenant: int) -> int:
        """How many the tenant has."""
        query = select(func.count()).select_from(webhooks).where(*_shown(tenant))
        return int((await self._connection.execute(query)).scalar_one())

    async def page(self, tenant: int, offset: int, limit: int) -> list[WebhookRow]:
        """A page of the tenant's, by id."""
        query = _of(tenant).order_by(webhooks.c.id).offset(offset).limit(limit)
        return [WebhookRow(*row) for row in await self._connection.execute(query)]

    async def change(self, webhook_id: int, **values: Any) -> None:
        """Set columns."""
        await self._connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))

    async def delete(self, webhook_id: int) -> None:
        """Let nobody see it or send to it any more; the row goes when its deliveries have gone (`remove_deleted`)."""
        await self.change(webhook_id, is_active=False, secret="", deleted_at=func.now())  # forgotten # nosec B106

    async def remove_deleted(self) -> None:
        """Remove the deleted ones of which no delivery is left."""
        left = select(webhook_deliveries.c.id).where(webhook_deliveries.c.webhook_id == webhooks.c.id)
        await self._connection.execute(delete(webhooks).where(webhooks.c.deleted_at.is_not(None), not_(left.exists())))

    async def wanting(self, tenant: int, event: str, segment_id: int) -> list[int]:
        """The tenant's active webhooks that want this event of this segment."""
        query = select(webhooks.c.id).where(
            webhooks.c.tenant_id == tenant,
            webhooks.c.is_active,
            literal(event) == any_(webhooks.c.events),
            or_(webhooks.c.segment_ids.is_(None), literal(segment_id) == any_(webhooks.c.segment_ids)),
        )
        return list((await self._connection.execute(query.order_by(webhooks.c.id))).scalars())

    async def followers(self) -> list[Follower]:
        """All active webhooks that want membership changes."""
        delivery = webhook_deliveries.c
        pending = (
            select(func.count())
            .select_from(webhook_deliveries)
            .where(delivery.webhook_id == webhooks.c.id, delivery.status == "pending")
            .scalar_subquery()
        )
        query = (
            select(
                webhooks.c.id,
                webhooks.c.tenant_id,
                tenants.c.slug,
                webhooks.c.segment_ids,
                webhooks.c.position,
                pending,
            )
            .join(tenants, tenants.c.id == webhooks.c.tenant_id)
            .where(webhooks.c.is_active, webhooks.c.position.is_not(None))
            .order_by(webhooks.c.id)
        )
        return [Follower(*row) for row in await self._connection.execute(query)]

    async def advance(self, webhook_id: int, position: int, new_position: int) -> bool:
        """Go on to a later position of the feed; False if the webhook is no longer active or no longer there."""
        result = await self._connection.execute(
            update(webhooks)
            .where(webhooks.c.id == webhook_id, webhooks.c.is_active, webhooks.c.position == position)
            .values(position=new_position)
        )
        return result.rowcount == 1

    async def lock(self, webhook_id: int) -> tuple[bool, datetime | None]:
        """Let other changes wait for the end of this transaction: whether it exists, when it was last delivered to."""
        query = select(webhooks.c.last_delivered_at).where(webhooks.c.id == webhook_id, webhooks.c.deleted_at.is_(None))
        row = (await self._connection.execute(query.with_for_update(key_share=True))).one_or_none()
        return (row is not None, None if row is None else row.last_delivered_at)

    async def delivered(self, webhook_id: int) -> None:
        """Note that it was delivered to just now."""
        await self.change(webhook_id, last_delivered_at=func.now())

    async def disable(self, webhook_id: int, reason: str) -> None:
        """Send nothing more until its tenant makes it active again."""
        await self.change(webhook_id, is_active=False, disabled_reason=reason, updated_at=func.now())


def _of(tenant: int) -> Select[Any]:
    return select(*_COLUMNS).where(*_shown(tenant))


def _shown(tenant: int) -> tuple[ColumnElement[bool], ...]:
    return webhooks.c.tenant_id == tenant, webhooks.c.deleted_at.is_(None)
