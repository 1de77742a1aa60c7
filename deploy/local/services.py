"""The three services of Shoal as children of the runner."""

import subprocess
import sys

from deploy.local.errors import LocalRunError
from deploy.local.installation import ROOT, SERVICES, Installation
from deploy.local.process import ManagedProcess
from deploy.local.rest import is_ready, why_not_ready
from deploy.local.secrets_file import Secrets
from deploy.local.servers import LocalServers

_READY_TIMEOUT_S = 90


class Service:
    """One service: `python -m services.<name>`."""

    def __init__(self, name: str, installation: Installation, servers: LocalServers, secrets: Secrets) -> None:
        self.name = name
        self._url = installation.url(name)
        self.process = ManagedProcess(
            name,
            [sys.executable, "-m", f"services.{name}"],
            installation.folder,
            env=installation.service_environment(name, servers, secrets),
            cwd=ROOT,
        )

    def start(self) -> None:
        """Start it, and return when it is ready.

        Raises:
            LocalRunError: it ended, or was not ready in time, with the reason it gives.
        """
        self.process.start()
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until it is ready. Raises LocalRunError as `start` does."""
        self.process.await_ready(
            lambda: is_ready(self._url), _READY_TIMEOUT_S, why_not=lambda: why_not_ready(self._url)
        )

    def stop(self) -> None:
        """End it in order."""
        self.process.stop()


def all_services(installation: Installation, servers: LocalServers, secrets: Secrets) -> list[Service]:
    """The services in the order of their start."""
    return [Service(name, installation, servers, secrets) for name in SERVICES]


def migrate(installation: Installation, servers: LocalServers, secrets: Secrets) -> None:
    """Bring the database to the schema of this code. Raises LocalRunError with the last line that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "services.api", "migrate"],
        env=installation.service_environment("api", servers, secrets),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        raise LocalRunError(f"The database could not be migrated: {said[-1].strip()}")
