"""The connection to PostgreSQL: one transaction per use, and outages told apart from faults of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.api.repository.api_keys import ApiKeyRepository
from services.api.repository.audits import AuditRepository
from services.api.repository.exports import ExportRepository
from services.api.repository.logins import LoginRepository
from services.api.repository.outbox import OutboxRepository
from services.api.repository.progress import ProgressRepository
from services.api.repository.references import ReferenceRepository
from services.api.repository.segments import SegmentRepository
from services.api.repository.tenants import TenantRepository
from services.api.repository.webhook_deliveries import DeliveryRepository
from services.api.repository.webhooks import WebhookRepository

_CONNECT_TIMEOUT_S = 2
_STATEMENT_TIMEOUT_S = 5
_POOL_TIMEOUT_S = 2
_AS_TENANT = text("select set_config('role', 'shoal_tenant', true), set_config('shoal.tenant', :tenant, true)")
"""For the rest of the transaction: the role owns no table, and policies show it the rows of this tenant only."""
_OUTAGES = ("08", "53", "57P")
"""Classes of SQLSTATE: the connection broke, something is used up (connections, disk), the server starts or ends."""


class DatabaseUnavailable(Exception):  # noqa: N818 - it names the thing
    """Retry: PostgreSQL does not answer. The text says how it failed."""


@dataclass(frozen=True)
class UnitOfWork:
    """All repositories of one transaction."""

    tenants: TenantRepository
    segments: SegmentRepository
    references: ReferenceRepository
    exports: ExportRepository
    outbox: OutboxRepository
    progress: ProgressRepository
    audits: AuditRepository
    logins: LoginRepository
    api_keys: ApiKeyRepository
    webhooks: WebhookRepository
    deliveries: DeliveryRepository


class Database:
    """A pool of connections; nothing is connected before the first use."""

    def __init__(self, database_url: str) -> None:
        """`database_url` is `postgresql://user:password@host:port/database`."""
        self.url = make_url(database_url).set(drivername="postgresql+asyncpg")
        self._engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=10,
            max_overflow=10,
            pool_timeout=_POOL_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"timeout": _CONNECT_TIMEOUT_S, "command_timeout": _STATEMENT_TIMEOUT_S},
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection inside a transaction: committed at the end, rolled back on an error.

        Raises DatabaseUnavailable when PostgreSQL cannot be reached, is not ready yet, or went away.
        """
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (OSError, TimeoutError, PoolTimeoutError, InterfaceError, OperationalError) as error:
            raise DatabaseUnavailable(_reason(error)) from error
        except DBAPIError as error:
            if error.connection_invalidated or _sqlstate(error).startswith(_OUTAGES):
                raise DatabaseUnavailable(_reason(error)) from error
            raise

    @asynccontextmanager
    async def begin(self, tenant: int) -> AsyncIterator[UnitOfWork]:
        """The repositories of one transaction, as `connect`, to which nothing but this tenant's rows exists."""
        async with self.connect() as connection:
            await connection.execute(_AS_TENANT, {"tenant": str(tenant)})
            yield _repositories(connection)

    @asynccontextmanager
    async def begin_for_all(self) -> AsyncIterator[UnitOfWork]:
        """The same with the rows of all tenants: for what finds out who calls, and for jobs, never for a request."""
        async with self.connect() as connection:
            yield _repositories(connection)

    async def ping(self) -> None:
        """Raises DatabaseUnavailable."""
        async with self.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _repositories(connection: AsyncConnection) -> UnitOfWork:
    return UnitOfWork(
        TenantRepository(connection),
        SegmentRepository(connection),
        ReferenceRepository(connection),
        ExportRepository(connection),
        OutboxRepository(connection),
        ProgressRepository(connection),
        AuditRepository(connection),
        LoginRepository(connection),
        ApiKeyRepository(connection),
        WebhookRepository(connection),
        DeliveryRepository(connection),
    )


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
