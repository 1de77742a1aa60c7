"""SQL of API keys."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.caller_tables import api_keys
from services.api.scopes import KeyType
from services.api.tables import tenants


class ApiKeyRow(NamedTuple):
    """One key that is not revoked; `slug` is of its tenant."""

    id: int
    tenant_id: int
    slug: str
    type: KeyType
    name: str
    allowed_origins: list[str]
    require_signed_user_id: bool
    hmac_secret: bytes | None
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class NewKey(NamedTuple):
    """What is stored of a key that is made: never the key itself."""

    digest: bytes
    type: KeyType
    name: str
    allowed_origins: list[str]
    require_signed_user_id: bool
    hmac_secret: bytes | None
    created_by: str
    expires_at: datetime | None


_COLUMNS = tuple(tenants.c.slug if name == "slug" else api_keys.c[name] for name in ApiKeyRow._fields)


class ApiKeyRepository:
    """Keys within one transaction; a revoked one is never found."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, tenant: int, key: NewKey) -> int:
        """A new key; returns its id."""
        query = insert(api_keys).values(tenant_id=tenant, **key._asdict()).returning(api_keys.c.id)
        return int((await self._connection.execute(query)).scalar_one())

    async def get(self, key_id: int) -> ApiKeyRow | None:
        """One key, of whatever tenant the transaction sees."""
        return await self._one(api_keys.c.id == key_id)

    async def of_digest(self, digest: bytes) -> ApiKeyRow | None:
        """The key with this SHA-256."""
        return await self._one(api_keys.c.digest == digest)

    async def page(self, tenant: int, offset: int, limit: int) -> tuple[int, list[ApiKeyRow]]:
        """How many keys the tenant has, and a page of them, by id."""
        wanted = (api_keys.c.tenant_id == tenant, api_keys.c.revoked_at.is_(None))
        count = select(func.count()).select_from(api_keys).where(*wanted)
        query = _keys().where(*wanted).order_by(api_keys.c.id).offset(offset).limit(limit)
        rows = [ApiKeyRow(*row) for row in await self._connection.execute(query)]
        return int((await self._connection.execute(count)).scalar_one()), rows

    async def revoke(self, key_id: int) -> bytes | None:
        """Revoke a key; its SHA-256, or None when there is no such key."""
        wanted = (api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        query = update(api_keys).where(*wanted).values(revoked_at=func.now()).returning(api_keys.c.digest)
        digest: bytes | None = (await self._connection.execute(query)).scalar()
        return digest

    async def touch(self, key_id: int, every: timedelta) -> None:
        """The key is used; noted when the last note is that old."""
        last = api_keys.c.last_used_at
        await self._connection.execute(
            update(api_keys)
            .where(api_keys.c.id == key_id, or_(last.is_(None), last < func.now() - every))
            .values(last_used_at=func.now())
        )

    async def _one(self, wanted: Any) -> ApiKeyRow | None:
        row = (await self._connection.execute(_keys().where(wanted, api_keys.c.revoked_at.is_(None)))).one_or_none()
        return None if row is None else ApiKeyRow(*row)


def _keys() -> Any:
    return select(*_COLUMNS).join(tenants, tenants.c.id == api_keys.c.tenant_id)
