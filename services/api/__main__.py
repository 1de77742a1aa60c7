"""`python -m services.api` serves; `... migrate` brings the database to the newest schema; `... admin` is for
tenants, users and keys.
"""

import asyncio
import sys

import uvloop

from services.api import admin_command
from services.api.app import create_app
from services.api.database import Database, DatabaseUnavailable
from services.api.migrate import OldSchema, check_schema, migrate
from services.api.server import Server
from services.api.settings import ApiSettings
from services.api.wiring import Wiring
from shared.contracts.topics import declare
from shared.runtime.crash_points import arm
from shared.runtime.health import listen
from shared.runtime.kafka import ensure_topics
from shared.runtime.logs import configure_logs
from shared.runtime.process import EXIT_REFUSED, clear_end, run

_PROGRAM = "python -m services.api"
_USAGE = f"usage: {_PROGRAM} [migrate | {admin_command.NAME} ...]"


async def serve(stop: asyncio.Event) -> None:
    """The api's life."""
    settings = ApiSettings.load()
    configure_logs(settings.log_level)
    arm(settings.crash_at)
    listening = listen(settings.host, settings.port)
    database = Database(settings.database_url)
    try:
        await check_schema(database)
    finally:
        await database.close()
    topics = declare(settings.partitions)
    await asyncio.to_thread(ensure_topics, settings.kafka_bootstrap_servers, topics, settings.replication_factor)
    wiring = Wiring(settings)
    await Server(create_app(settings, wiring), wiring.streams.end).serve_until(stop, listening)


async def migrate_only(_: asyncio.Event) -> None:
    """Bring the schema to the newest revision and say which it is."""
    settings = ApiSettings.load()
    configure_logs(settings.log_level)
    database = Database(settings.database_url)
    try:
        revision = await migrate(database)
    finally:
        await database.close()
    print(f"api: the database schema is at {revision}")  # noqa: T201 - the command's answer


def main(arguments: list[str]) -> None:
    """What the command line asks for; ends with code 2 and one line for what nobody can."""
    if arguments[:1] == [admin_command.NAME]:
        with clear_end("api"):
            settings = ApiSettings.load()
        admin_command.main(settings.database_url, arguments[1:], _PROGRAM)
        return
    bodies = {(): serve, ("migrate",): migrate_only}
    body = bodies.get(tuple(arguments))
    if body is None:
        print(_USAGE, file=sys.stderr)  # noqa: T201 - the answer to a command line
        raise SystemExit(EXIT_REFUSED)
    run("api", body, refusals=(OldSchema,), outages=(DatabaseUnavailable,), new_loop=uvloop.new_event_loop)


if __name__ == "__main__":
    main(sys.argv[1:])
