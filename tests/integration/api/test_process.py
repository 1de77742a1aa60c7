"""`python -m services.api` as a process: one line for what is wrong, a clean end on a signal."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics
from tests.support.evaluators import NO_EXPORTS, NO_HISTORY
from tests.support.served_api import KEY, PATIENCE_S, TOKEN_SECRET
from tests.support.servers import Servers

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def environment(servers: Servers, database_url: str, **changes: str) -> dict[str, str]:
    ours = {
        "SHOAL_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "SHOAL_REDIS_URL": servers.redis_url,
        "SHOAL_DATABASE_URL": database_url,
        "SHOAL_HISTORY": NO_HISTORY,
        "SHOAL_EXPORTS": NO_EXPORTS,
        "SHOAL_PARTITIONS": "3",
        "SHOAL_API_BOOTSTRAP_KEY": KEY,
        "SHOAL_API_TOKEN_SECRET": TOKEN_SECRET,
        "SHOAL_API_PORT": str(free_port()),
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    return others | ours | changes


def run(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.api", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_it_serves_until_sigterm_and_ends_with_zero(
    servers: Servers, database_url: str, kafka_bootstrap_servers: str
) -> None:
    environ = environment(servers, database_url)
    migrated = run(environ, "migrate")
    assert (migrated.returncode, migrated.stdout) == (0, "api: the database schema is at 0006\n")
    process = subprocess.Popen([sys.executable, "-m", "services.api"], cwd=ROOT, env=environ)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{environ['SHOAL_API_PORT']}") as client:
            _await_ready(client, process)
            headers = {"Authorization": f"ApiKey {KEY}"}
            assert client.get("/api/segments/", headers=headers).json()["count"] == 0
            assert "shoal_api_requests_total" in client.get("/metrics").text
            assert client.get("/livez").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def _await_ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)  # not listening yet


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"SHOAL_API_BOOTSTRAP_KEY": "short"}, 2, "SHOAL_API_BOOTSTRAP_KEY"),
        ({"SHOAL_DATABASE_URL": "mysql://x"}, 2, "SHOAL_DATABASE_URL"),
        ({"SHOAL_REDIS_URL": "x"}, 2, "SHOAL_REDIS_URL"),
        ({"SHOAL_API_COLOUR": "red"}, 2, "SHOAL_API_COLOUR"),
        ({}, 2, "run python -m services.api migrate"),
        ({"SHOAL_DATABASE_URL": "postgresql://a@127.0.0.1:1/b"}, 75, "api: "),
    ],
)
def test_what_is_wrong_is_one_line(
    servers: Servers, database_url: str, changes: dict[str, str], code: int, named: str
) -> None:
    done = run(environment(servers, database_url, **changes))
    assert done.returncode == code
    assert named in last_line(done)


def test_a_port_in_use_is_one_line(servers: Servers, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(environment(servers, database_url, SHOAL_API_PORT=port))
    assert done.returncode == 2
    assert port in last_line(done)


def test_a_broker_that_disagrees_is_refused(servers: Servers, database_url: str, kafka_bootstrap_servers: str) -> None:
    assert run(environment(servers, database_url), "migrate").returncode == 0
    ensure_topics(servers.kafka_bootstrap_servers, declare(2))
    done = run(environment(servers, database_url))
    assert done.returncode == 2
    assert "events: 3 partitions expected, 2 found" in last_line(done)


def test_an_unknown_argument_is_refused(servers: Servers, database_url: str) -> None:
    done = run(environment(servers, database_url), "serve")
    assert done.returncode == 2
    assert "usage" in last_line(done)
