"""Addresses of servers: those that the environment gives are used, and must answer."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.local.errors import LocalRunError

KAFKA_KEY = "SHOAL_KAFKA_BOOTSTRAP_SERVERS"
REDIS_KEY = "SHOAL_REDIS_URL"
DATABASE_KEY = "SHOAL_DATABASE_URL"
HISTORY_KEY = "SHOAL_HISTORY"
EXPORTS_KEY = "SHOAL_EXPORTS"

_REDIS_PORT = 6379
_POSTGRES_PORT = 5432
_ANSWER_S = 5


@dataclass(frozen=True)
class Addresses:
    """Where the servers are; None: not given."""

    kafka_bootstrap_servers: str | None = None
    redis_url: str | None = None
    database_url: str | None = None

    @classmethod
    def given(cls, environ: Mapping[str, str]) -> "Addresses":
        """The addresses that the environment gives."""
        return cls(environ.get(KAFKA_KEY) or None, environ.get(REDIS_KEY) or None, environ.get(DATABASE_KEY) or None)

    def require_answers(self) -> None:
        """Check that somebody listens at each; of several Kafka servers one is enough.

        Raises:
            LocalRunError: names the variable and the address of the first that does not answer.
        """
        for key, places in self._places():
            faults = [fault for fault in map(_fault, places) if fault]
            if len(faults) == len(places):
                raise LocalRunError(f"The server given by {key} does not answer: {'; '.join(faults)}")

    def _places(self) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """Host and port of each; what is no address has port 0, where nobody answers."""
        if self.kafka_bootstrap_servers:
            parts = [server.strip().rpartition(":") for server in self.kafka_bootstrap_servers.split(",")]
            yield KAFKA_KEY, [(host, int(port) if port.isdecimal() else 0) for host, _, port in parts]
        if self.redis_url:
            yield REDIS_KEY, [_place(self.redis_url, _REDIS_PORT)]
        if self.database_url:
            yield DATABASE_KEY, [_place(self.database_url, _POSTGRES_PORT)]


def _place(url: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port or default_port
    except ValueError:
        port = 0  # not a number, or too high
    return parts.hostname or "", port


def _fault(place: tuple[str, int]) -> str:
    host, port = place
    try:
        socket.create_connection((host, port), timeout=_ANSWER_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        return f"{host}:{port}: {getattr(error, 'strerror', None) or error}"
    return ""
