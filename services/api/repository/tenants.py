"""SQL of tenants."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import tenants


class TenantRepository:
    """Tenants within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ensure(self, slug: str) -> int:
        """The id of the tenant with this slug, which is made if it is missing."""
        await self._connection.execute(insert(tenants).values(slug=slug).on_conflict_do_nothing())
        result = await self._connection.execute(select(tenants.c.id).where(tenants.c.slug == slug))
        return int(result.scalar_one())

    async def create(self, slug: str) -> int | None:
        """A new tenant; its id, or None when the slug is taken."""
        query = insert(tenants).values(slug=slug).on_conflict_do_nothing().returning(tenants.c.id)
        made = (await self._connection.execute(query)).scalar()
        return None if made is None else int(made)

    async def all_ids(self) -> dict[str, int]:
        """The ids of all tenants that the transaction sees, by slug."""
        rows = await self._connection.execute(select(tenants.c.slug, tenants.c.id).order_by(tenants.c.id))
        return {row.slug: row.id for row in rows}

    async def slug(self, tenant: int) -> str:
        """The slug of a tenant, which must exist."""
        result = await self._connection.execute(select(tenants.c.slug).where(tenants.c.id == tenant))
        return str(result.scalar_one())

    async def lock(self, tenant: int) -> None:
        """Let other holders of this lock wait for the end of the transaction: taken before that of any segment."""
        await self._connection.execute(
            select(tenants.c.id).where(tenants.c.id == tenant).with_for_update(key_share=True)
        )
