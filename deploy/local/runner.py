"""`make up` and `make down`: start everything in order, watch it, stop everything in order."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local import demo, kafka_jars
from deploy.local.connection import connection_file, tenant_id, write_connection
from deploy.local.console import complain, say, step
from deploy.local.errors import LocalRunError
from deploy.local.installation import Installation
from deploy.local.ports import require_free
from deploy.local.process import await_end, end_left_over, read_pid_file, write_pid_file
from deploy.local.secrets_file import Secrets, load_secrets
from deploy.local.servers import LocalServers, Plan
from deploy.local.services import all_services, migrate
from deploy.local.stop_wish import Interrupted, StopWish
from deploy.local.summary import explain
from deploy.local.supervisor import Supervisor
from deploy.local.units import Unit, start_together
from shared.contracts.topics import declare
from shared.runtime.kafka import KafkaUnavailable, WrongTopic, ensure_topics

_NEEDED_BYTES = 500 << 20
_STOP_TIMEOUT_S = 120


class Run:
    """One `make up`."""

    def __init__(self, installation: Installation, secrets: Secrets) -> None:
        self._installation = installation
        self._secrets = secrets
        self._servers = LocalServers(Plan(installation.folder, installation.ports, installation.given), secrets)
        self._services = all_services(installation, self._servers, secrets)
        self._units: list[Unit] = [*self._servers.units, *self._services]
        self._tenant_id = 0
        self._supervisor = Supervisor(self._units, complain, self._write_connection)

    def start(self, *, with_demo: bool) -> None:
        """Start everything and print what one needs to know. Raises LocalRunError."""
        ports = {service.name: self._installation.ports[service.name] for service in self._services}
        require_free(ports | self._servers.ports_needed, self._installation.port_base)
        self._installation.given.require_answers()
        self._start_servers()
        with step("Preparing the database and the topics"):
            migrate(self._installation, self._servers, self._secrets)
            self._ensure_topics()
        with step(f"Starting {_listed([service.name for service in self._services])}"):
            start_together(self._services)
        self._tenant_id = tenant_id(self._installation, self._servers)
        self._supervisor.start()
        if with_demo:
            demo.load(self._installation, self._servers, self._secrets)
        self._write_connection()
        explain(self._installation.url("api"), self._installation.api_key(self._secrets), with_demo=with_demo)

    def stop(self) -> None:
        """Stop everything: services first, then the servers."""
        connection_file(self._installation.folder).unlink(missing_ok=True)
        running = [unit.name for unit in self._units if unit.process is not None and unit.process.pid is not None]
        with step("Stopping") if running else contextlib.nullcontext():
            self._supervisor.stop()

    def _start_servers(self) -> None:
        titles = {"postgres": "PostgreSQL", "valkey": "Valkey", "kafka": "Kafka"}
        ours = [unit.name for unit in self._servers.units]
        if "kafka" in ours and (count := kafka_jars.missing()):
            with step(f"Fetching {count} jars of Apache Kafka, 56 MB, once"):
                kafka_jars.class_path()
        if ours:
            with step(f"Starting {_listed([titles[name] for name in ours])}"):
                self._servers.start()

    def _ensure_topics(self) -> None:
        settings = self._installation.topic_settings()
        try:
            ensure_topics(
                self._servers.kafka_bootstrap_servers, declare(settings.partitions), settings.replication_factor
            )
        except (WrongTopic, KafkaUnavailable) as error:
            raise LocalRunError(str(error)) from error

    def _write_connection(self) -> None:
        processes = [unit.process for unit in self._units]
        pids = {p.name: p.pid for p in processes if p is not None and p.pid is not None}
        write_connection(
            self._installation, self._servers, self._secrets, self._tenant_id, {"runner": os.getpid(), **pids}
        )


def up(environ: Mapping[str, str], *, with_demo: bool) -> None:
    """Run until Ctrl-C, SIGTERM or SIGHUP. Raises LocalRunError when it cannot."""
    installation = Installation.of(environ)
    folder = installation.folder
    folder.mkdir(parents=True, exist_ok=True)
    _require_space(folder)
    with _only_runner(installation), StopWish() as wish:
        _end_left_over(folder)
        run = Run(installation, load_secrets(folder))
        try:
            run.start(with_demo=with_demo)
            wish.wait()
        except Interrupted:
            say("Interrupted")
        finally:
            wish.interrupt_no_more()
            run.stop()
    say("Stopped; the data stays in " + str(folder))


def down(environ: Mapping[str, str]) -> None:
    """End the installation that runs in the background, and return when it has ended. Raises LocalRunError."""
    folder = Installation.of(environ).folder
    runner = read_pid_file(_runner_file(folder))
    if runner is None:
        left = end_left_over(folder)
        say(f"Ended what was left of a killed run: {_listed(left)}" if left else f"Nothing runs in {folder}")
        return
    with step(f"Stopping the run in {folder}"):
        runner.terminate()
        if await_end([runner], _STOP_TIMEOUT_S):
            raise LocalRunError(f"Process {runner.pid} still runs after {_STOP_TIMEOUT_S} s.")


def _runner_file(folder: Path) -> Path:
    return folder / "run" / "runner.pid"


@contextlib.contextmanager
def _only_runner(installation: Installation) -> Iterator[None]:
    """Hold the folder for this process. Raises LocalRunError when another has it."""
    run = installation.folder / "run"
    run.mkdir(exist_ok=True)
    with (run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalRunError(
                f"Shoal runs already in {installation.folder}: `make down` ends it, or set SHOAL_DATA and"
                " SHOAL_PORT_BASE for a second one."
            ) from error
        write_pid_file(_runner_file(installation.folder), os.getpid())
        try:
            yield
        finally:
            _runner_file(installation.folder).unlink(missing_ok=True)


def _end_left_over(folder: Path) -> None:
    connection_file(folder).unlink(missing_ok=True)
    if left := end_left_over(folder):
        say(f"Ended what was left of a killed run: {_listed(left)}")


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise LocalRunError(f"The disk of {folder} is nearly full: {free >> 20} MiB free, 500 MiB needed.")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
