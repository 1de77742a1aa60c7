"""Real Kafka, Valkey and PostgreSQL for the tests: started once a session, by Docker or by `deploy.local`."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.local.ports import OFFSETS, free_ports
from deploy.local.process import end_left_over, read_pid_file, write_pid_file
from deploy.local.secrets_file import Secrets
from deploy.local.servers import LocalServers, Plan
from tests.support.proxied_kafka import proxied_listener
from tests.support.tcp_proxy import TcpProxy

KAFKA_TEST_SETTINGS = {
    "group.min.session.timeout.ms": "1000",  # a killed worker is noticed within a test's patience
    "log.cleaner.backoff.ms": "1000",
    "log.retention.check.interval.ms": "1000",
}
POSTGRES_TEST_OPTIONS = ("fsync=off", "full_page_writes=off")
"""The data of a test need not survive the machine."""

_PREFIX = "shoal-test-"


class Servers(NamedTuple):
    """The addresses, in the form of the services' settings."""

    kafka_bootstrap_servers: str
    redis_url: str
    database_url: str


@contextlib.contextmanager
def running_servers() -> Iterator[Servers]:
    """The servers of a session, by Docker or local as SHOAL_TEST_SERVERS says (default: Docker if it answers)."""
    wish = os.environ.get("SHOAL_TEST_SERVERS") or ("docker" if _docker_answers() else "local")
    if wish not in ("docker", "local"):
        raise pytest.UsageError(f"SHOAL_TEST_SERVERS is docker or local, not {wish!r}")
    with _teardown_on_sigterm():
        if wish == "docker":
            # asks for the images, and for a daemon, only when it is the way chosen
            from tests.support.docker_servers import docker_servers  # noqa: PLC0415

            with docker_servers() as addresses:
                yield Servers(*addresses)
        else:
            with local_servers() as servers:
                yield servers


@contextlib.contextmanager
def local_servers() -> Iterator[Servers]:
    """The addresses of servers from packages."""
    with started_servers() as started:
        yield addresses_of(started)


@contextlib.contextmanager
def started_servers(proxy: TcpProxy | None = None) -> Iterator[LocalServers]:
    """The servers from packages, on random ports, with data in a temporary folder; Kafka behind the proxy too."""
    end_orphans()
    folder = new_folder()
    port_numbers = dict(zip(OFFSETS, free_ports(len(OFFSETS)), strict=True))
    listeners = proxied_listener(port_numbers["kafka"], port_numbers["kafka-controller"], proxy) if proxy else {}
    plan = Plan(
        folder,
        port_numbers,
        kafka_settings=KAFKA_TEST_SETTINGS | listeners,
        postgres_options=POSTGRES_TEST_OPTIONS,
    )
    started = LocalServers(plan, Secrets.new())
    try:
        started.start()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


def new_folder() -> Path:
    """A temporary folder for servers; should this session be killed, `end_orphans` ends them and removes it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (folder / "run").mkdir()
    write_pid_file(folder / "run" / "runner.pid", os.getpid())
    return folder


def addresses_of(started: LocalServers) -> Servers:
    """Where they are."""
    return Servers(started.kafka_bootstrap_servers, started.redis_url, started.database_url)


def end_orphans() -> None:
    """End the servers of test sessions that were killed, and remove their data."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        runner = folder / "run" / "runner.pid"
        if runner.exists() and read_pid_file(runner) is None:
            end_left_over(folder)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _teardown_on_sigterm() -> Iterator[None]:
    """Let `timeout` and CI systems end a session without leaving servers behind."""

    def leave(*_: object) -> None:
        pytest.exit("terminated", 128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
