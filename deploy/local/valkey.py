"""Valkey on the loopback interface, its data in one folder, kept by an append-only file."""

import socket
from pathlib import Path

from deploy.local.packages import valkey_server
from deploy.local.ports import HOST
from deploy.local.process import ManagedProcess

USER = "shoal"
READY_TIMEOUT_S = 60

CONFIG = """\
bind {host}
port {port}
dir {data}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
user default off
user {user} on >{password} ~* &* +@all
"""


class Valkey:
    """One server that knows the user `shoal` only."""

    name = "valkey"

    def __init__(self, folder: Path, port: int, password: str) -> None:
        self._port = port
        self._password = password
        self._data = folder / "valkey"
        self._config = self._data / "valkey.conf"
        command = [str(valkey_server()), str(self._config)]
        self.process = ManagedProcess("valkey", command, folder, title="Valkey", cwd=folder)

    @property
    def url(self) -> str:
        """The address of database 0."""
        return f"redis://{USER}:{self._password}@{HOST}:{self._port}/0"

    def start(self) -> None:
        """Start, and return when it answers.

        Raises:
            LocalRunError: one line that says why not.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._config.touch(mode=0o600)
        self._config.write_text(
            CONFIG.format(
                host=HOST, port=self._port, data=f'"{self._data.resolve()}"', user=USER, password=self._password
            )
        )
        self.process.start()
        self.process.await_ready(self._answers, READY_TIMEOUT_S)

    def stop(self) -> None:
        """End it in order."""
        self.process.stop()

    def _answers(self) -> bool:
        """Whether it is reachable and has loaded its data."""
        try:
            with socket.create_connection((HOST, self._port), timeout=2) as connection:
                connection.sendall(f"AUTH {USER} {self._password}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answers:
                    return b"+PONG\r\n" in answers.read()
        except OSError:
            return False
