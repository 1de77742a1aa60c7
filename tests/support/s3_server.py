"""An S3 server of this machine, moto's: in an environment of its own, because its packages conflict with ours."""

import contextlib
import fcntl
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deploy.local import bootstrap
from deploy.local.ports import HOST, answers, free_ports
from tests.support.evaluators import wait_for

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("s3-server.lock")
CACHE = ROOT / ".cache"
START_S = 60


class S3Server(NamedTuple):
    """A running server with one bucket."""

    port: int
    bucket: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The usual variables for it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }


def environment() -> Path:
    """The environment of the lock, made when it is asked for the first time."""
    wanted = bootstrap.stamp(LOCK.read_bytes())
    venv = CACHE / f"s3-server-{wanted[:12]}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "s3-server.wait").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not bootstrap.is_installed(venv, wanted):
            bootstrap.create(venv)
            bootstrap.install(venv, LOCK)
            (venv / "shoal.stamp").write_text(wanted)
    return venv


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server without any data."""
    (port,) = free_ports(1)
    command = [str(environment() / "bin" / "moto_server"), "-H", HOST, "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), START_S, "the S3 server answers")
        running = S3Server(port, "shoal-test")
        with urllib.request.urlopen(urllib.request.Request(f"{running.url}/{running.bucket}", method="PUT")):
            yield running
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
