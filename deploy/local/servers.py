"""The three servers together: those whose addresses are given are used, the others are started."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.addresses import Addresses
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.secrets_file import Secrets
from deploy.local.units import start_together
from deploy.local.valkey import Valkey


@dataclass(frozen=True)
class Plan:
    """What to start and how. `ports` as in `deploy.local.ports`; the settings are for tests."""

    folder: Path
    ports: Mapping[str, int]
    given: Addresses = field(default_factory=Addresses)
    kafka_settings: Mapping[str, str] = field(default_factory=dict)
    postgres_options: Sequence[str] = ()


class LocalServers:
    """Starts what is not given, side by side, and stops it in order."""

    def __init__(self, plan: Plan, secrets: Secrets) -> None:
        ports, given, folder = plan.ports, plan.given, plan.folder
        self._plan = plan
        self._kafka = (
            None
            if given.kafka_bootstrap_servers
            else Kafka(folder, ports["kafka"], ports["kafka-controller"], plan.kafka_settings)
        )
        self._valkey = None if given.redis_url else Valkey(folder, ports["valkey"], secrets.redis_password)
        self._postgres = (
            None
            if given.database_url
            else Postgres(folder, ports["postgres"], secrets.database_password, plan.postgres_options)
        )

    @property
    def kafka_bootstrap_servers(self) -> str:
        """`host:port` of Kafka."""
        return self._plan.given.kafka_bootstrap_servers or (self._kafka.bootstrap_servers if self._kafka else "")

    @property
    def redis_url(self) -> str:
        """The address of Valkey's database 0."""
        return self._plan.given.redis_url or (self._valkey.url if self._valkey else "")

    @property
    def database_url(self) -> str:
        """The address of PostgreSQL's database."""
        return self._plan.given.database_url or (self._postgres.url if self._postgres else "")

    @property
    def units(self) -> list[Postgres | Valkey | Kafka]:
        """The servers that are ours to start, in the reverse order of their stop."""
        return [server for server in (self._postgres, self._valkey, self._kafka) if server is not None]

    @property
    def ports_needed(self) -> dict[str, int]:
        """The ports that must be free for them, by what wants them."""
        names = [unit.name for unit in self.units] + (["kafka-controller"] if self._kafka else [])
        return {name: self._plan.ports[name] for name in names}

    def start(self) -> None:
        """Start all at once and return when all answer. After a fault `stop` ends those that came up.

        Raises:
            LocalRunError: one line about the first that failed.
        """
        start_together(self.units)

    def stop(self) -> None:
        """Stop them: Kafka, Valkey, PostgreSQL."""
        with contextlib.ExitStack() as stack:  # each is stopped whatever happens to the others
            for unit in self.units:
                stack.callback(unit.stop)
