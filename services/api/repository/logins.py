"""SQL of logins, their refresh tokens, and attempts to sign in."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.caller_tables import logins, refresh_tokens, sign_in_attempts
from services.api.scopes import Role
from services.api.tables import tenants


class LoginRow(NamedTuple):
    """One login; `slug` is of its tenant."""

    id: int
    tenant_id: int
    slug: str
    email: str
    password_hash: str
    role: Role
    is_active: bool
    created_by: str
    created_at: datetime


class RefreshRow(NamedTuple):
    """One refresh token."""

    login_id: int
    family: UUID
    is_expired: bool
    is_used: bool


_COLUMNS = tuple(tenants.c.slug if name == "slug" else logins.c[name] for name in LoginRow._fields)


class LoginRepository:
    """Logins within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(self, tenant: int, email: str, password_hash: str, role: Role, created_by: str) -> int | None:
        """A new login; its id, or None when the e-mail is taken, by whatever tenant."""
        values = {"tenant_id": tenant, "email": email, "password_hash": password_hash, "role": role}
        query = upsert(logins).values(**values, created_by=created_by).on_conflict_do_nothing()
        made = (await self._connection.execute(query.returning(logins.c.id))).scalar()
        return None if made is None else int(made)

    async def get(self, login_id: int) -> LoginRow | None:
        """One login, of whatever tenant the transaction sees."""
        return await self._one(logins.c.id == login_id)

    async def of_email(self, email: str) -> LoginRow | None:
        """The login with this e-mail."""
        return await self._one(logins.c.email == email)

    async def page(self, tenant: int, offset: int, limit: int) -> tuple[int, list[LoginRow]]:
        """How many logins the tenant has, and a page of them, by id."""
        of_tenant = logins.c.tenant_id == tenant
        count = select(func.count()).select_from(logins).where(of_tenant)
        query = _logins().where(of_tenant).order_by(logins.c.id).offset(offset).limit(limit)
        rows = [LoginRow(*row) for row in await self._connection.execute(query)]
        return int((await self._connection.execute(count)).scalar_one()), rows

    async def change(self, login_id: int, **values: Any) -> None:
        """Set columns."""
        await self._connection.execute(update(logins).where(logins.c.id == login_id).values(**values))

    async def active_owners(self, tenant: int) -> set[int]:
        """The logins that may say who owns the tenant."""
        query = select(logins.c.id).where(logins.c.tenant_id == tenant, logins.c.role == "owner", logins.c.is_active)
        return set((await self._connection.execute(query)).scalars())

    async def add_refresh_token(self, digest: bytes, login_id: int, family: UUID, life: timedelta) -> None:
        """Store a token of a family; those of the login that have expired go."""
        expired = (refresh_tokens.c.login_id == login_id, refresh_tokens.c.expires_at < func.now())
        await self._connection.execute(delete(refresh_tokens).where(*expired))
        values = {"digest": digest, "login_id": login_id, "family": family, "expires_at": func.now() + life}
        await self._connection.execute(insert(refresh_tokens).values(**values))

    async def refresh_token(self, digest: bytes) -> RefreshRow | None:
        """A token, locked: of two who bring it at once the second sees that it is used."""
        table = refresh_tokens.c
        columns = (table.login_id, table.family, table.expires_at < func.now(), table.used_at.is_not(None))
        query = select(*columns).where(table.digest == digest).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else RefreshRow(*row)

    async def use_refresh_token(self, digest: bytes) -> None:
        """The token was exchanged for another one of its family."""
        of_digest = refresh_tokens.c.digest == digest
        await self._connection.execute(update(refresh_tokens).where(of_digest).values(used_at=func.now()))

    async def end_family(self, family: UUID) -> None:
        """None of these tokens is worth anything any more."""
        await self._connection.execute(delete(refresh_tokens).where(refresh_tokens.c.family == family))

    async def end_refresh_tokens(self, login_id: int) -> None:
        """The login has to sign in anew."""
        await self._connection.execute(delete(refresh_tokens).where(refresh_tokens.c.login_id == login_id))

    async def count_attempt(self, email: str, window: timedelta) -> tuple[int, float]:
        """Count an attempt to sign in: how many there are in the window that began with the first, this one included,
        and the seconds until it ends. Windows that are over go.
        """
        table = sign_in_attempts.c
        await self._connection.execute(delete(sign_in_attempts).where(table.since < func.now() - window))
        query = upsert(sign_in_attempts).values(email_digest=_digest(email), attempts=1)
        query = query.on_conflict_do_update(
            index_elements=[table.email_digest], set_={"attempts": table.attempts + literal(1)}
        )
        left = func.extract("epoch", table.since + window - func.now())
        row = (await self._connection.execute(query.returning(table.attempts, left))).one()
        return int(row[0]), float(row[1])

    async def forget_attempts(self, email: str) -> None:
        """An attempt was successful."""
        digest = sign_in_attempts.c.email_digest == _digest(email)
        await self._connection.execute(delete(sign_in_attempts).where(digest))

    async def _one(self, wanted: Any) -> LoginRow | None:
        row = (await self._connection.execute(_logins().where(wanted))).one_or_none()
        return None if row is None else LoginRow(*row)


def _logins() -> Any:
    return select(*_COLUMNS).join(tenants, tenants.c.id == logins.c.tenant_id)


def _digest(email: str) -> bytes:
    return hashlib.sha256(email.encode()).digest()
