"""The database schema: bring it to the newest revision, and refuse to start on an older one."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from services.api.database import Database

_LOCK_KEY = 0x5348_4F41_4C00  # of the advisory lock: two migrations at once wait for each other


class OldSchema(Exception):  # noqa: N818 - it names the thing
    """Stop: the database is not at the revision that this code needs. The text says what to run."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def migrate(database: Database) -> str:
    """Bring the schema to the newest revision, in one transaction; returns it. Does nothing when it is there."""

    def upgrade(connection: Connection) -> str:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return _found(connection) or ""

    async with database.connect() as connection:
        return await connection.run_sync(upgrade)


async def check_schema(database: Database) -> None:
    """Raises OldSchema unless the database is at the newest revision of this code."""
    async with database.connect() as connection:
        found = await connection.run_sync(_found)
    needed = ScriptDirectory.from_config(_config()).get_current_head()
    if found != needed:
        raise OldSchema(
            f"the database schema is at {found or 'nothing'}, {needed} is needed: run python -m services.api migrate"
        )


def _found(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
