"""`connection.json`: how scripts find this installation while it runs."""

import asyncio
import json
from pathlib import Path

import asyncpg

from deploy.local.errors import LocalRunError
from deploy.local.installation import Installation
from deploy.local.secrets_file import Secrets, write_private
from deploy.local.servers import LocalServers

DEFAULT_TENANT = "demo"


def connection_file(folder: Path) -> Path:
    """Where it lies. It is there while the installation runs and is ready, and only then."""
    return folder / "connection.json"


def write_connection(
    installation: Installation, servers: LocalServers, secrets: Secrets, tenant_id: int, pids: dict[str, int]
) -> None:
    """Write it, readable by its owner only. `pids` has the process of each service and server running here."""
    content = {
        "api_url": installation.url("api"),
        "api_key": installation.api_key(secrets),
        "tenant_id": tenant_id,
        "kafka_bootstrap_servers": servers.kafka_bootstrap_servers,
        "redis_url": servers.redis_url,
        "database_url": servers.database_url,
        "pids": pids,
    }
    write_private(connection_file(installation.folder), json.dumps(content, indent=2) + "\n")


def connected(folder: Path, name: str) -> str:
    """An entry of the connection file of the installation that runs in this folder, such as `database_url`.

    Raises LocalRunError when none runs.
    """
    try:
        return str(json.loads(connection_file(folder).read_text())[name])
    except FileNotFoundError as error:
        raise LocalRunError(f"Nothing runs in {folder}: `make up` starts it.") from error


def tenant_id(installation: Installation, servers: LocalServers) -> int:
    """The id of the tenant that the api made at its start. Raises LocalRunError when there is none."""
    slug = installation.environ.get("SHOAL_API_BOOTSTRAP_TENANT") or DEFAULT_TENANT
    found = asyncio.run(_select_tenant(servers.database_url, slug))
    if found is None:
        raise LocalRunError(f"The api made no tenant {slug!r} in its database.")
    return found


async def _select_tenant(database_url: str, slug: str) -> int | None:
    connection = await asyncpg.connect(database_url)
    try:
        found: int | None = await connection.fetchval("select id from tenants where slug = $1", slug)
    finally:
        await connection.close()
    return found
