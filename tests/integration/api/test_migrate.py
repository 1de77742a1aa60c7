"""The schema: made by the migrations, what the tables say, and an old one is refused."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from services.api.database import Database, DatabaseUnavailable
from services.api.migrate import OldSchema, check_schema, migrate
from services.api.tables import metadata


def on(database_url: str, work: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with the database."""

    async def done() -> Any:
        database = Database(database_url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(done())


def test_an_empty_database_is_refused_until_it_is_migrated(database_url: str) -> None:
    with pytest.raises(OldSchema, match=r"at nothing.*run python -m services.api migrate"):
        on(database_url, check_schema)
    assert on(database_url, migrate) == on(database_url, migrate) == "0006"
    on(database_url, check_schema)


def test_the_migrations_make_exactly_the_tables(database_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async def compared(database: Database) -> list[Any]:
        await migrate(database)
        async with database.connect() as connection:
            found: list[Any] = await connection.run_sync(differences)
            return found

    assert on(database_url, compared) == []


def test_two_migrations_at_once_wait_for_each_other(database_url: str) -> None:
    async def twice(database: Database) -> list[str]:
        return list(await asyncio.gather(migrate(database), migrate(database), migrate(database)))

    assert on(database_url, twice) == ["0006"] * 3


def test_a_newer_schema_is_refused_too(database_url: str) -> None:
    async def renumber(database: Database) -> None:
        await migrate(database)
        async with database.connect() as connection:
            await connection.execute(text("update alembic_version set version_num = '9999'"))

    on(database_url, renumber)
    with pytest.raises(OldSchema, match="at 9999"):
        on(database_url, check_schema)


def test_a_database_that_does_not_answer_is_an_outage() -> None:
    with pytest.raises(DatabaseUnavailable):
        on("postgresql://nobody@127.0.0.1:1/none", check_schema)
