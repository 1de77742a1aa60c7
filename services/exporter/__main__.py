"""`python -m services.exporter`: runs the exporter until SIGTERM or SIGINT."""

import asyncio

from services.exporter.app import create_app
from services.exporter.settings import ExporterSettings
from shared.runtime.crash_points import arm
from shared.runtime.logs import configure_logs
from shared.runtime.process import run


async def main(stop: asyncio.Event) -> None:
    """The exporter's life."""
    settings = ExporterSettings.load()
    configure_logs(settings.log_level)
    arm(settings.crash_at)
    await create_app(settings).run(stop)


if __name__ == "__main__":
    run("exporter", main)
