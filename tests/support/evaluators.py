"""Services as processes under a test's control, evaluators above all; and waiting for a condition."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from deploy.local.ports import HOST, free_ports

ROOT = Path(__file__).parents[2]
READY_S = 60

T = TypeVar("T")
P = TypeVar("P", bound="ServiceProcess")


def wait_for(condition: Callable[[], T | None], within_s: float, what: str) -> T:
    """Ask until the condition answers something true. Raises AssertionError naming `what`."""
    deadline = time.monotonic() + within_s
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.02)


class ServiceProcess:
    """One `python -m services.<name>` on a free port."""

    def __init__(self, name: str, environ: dict[str, str], entry: list[str] | None = None) -> None:
        """`entry` replaces the module: the arguments of another start of it."""
        self.name = name
        self.port = free_ports(1)[0]
        self.url = f"http://{HOST}:{self.port}"
        self._entry = entry or ["-m", f"services.{name}"]
        self._environ = environ | {f"SHOAL_{name.upper()}_PORT": str(self.port)}
        handle, log = tempfile.mkstemp(prefix=f"shoal-{name}-", suffix=".log")
        os.close(handle)
        self.log = Path(log)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, without waiting."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *self._entry],
                cwd=ROOT,
                env=os.environ | self._environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def await_ready(self) -> Self:
        """Wait until /readyz answers 200."""
        try:
            wait_for(self._is_ready, READY_S, f"the {self.name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}; its log ends:\n{self.last_lines()}") from None
        return self

    def readiness(self) -> dict[str, str]:
        """The parts of /readyz, ready or not; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                body = answer.read()
        except urllib.error.HTTPError as degraded:
            body = degraded.read()
        except OSError:
            return {}
        return dict(json.loads(body)["parts"])

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def end(self) -> None:
        """SIGKILL, for good."""
        self.kill()

    def send(self, number: signal.Signals) -> None:
        """Any signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def await_exit(self, within_s: float) -> int:
        """Wait until it ends by itself; the exit code."""
        assert self._process is not None
        return self._process.wait(within_s)

    def last_lines(self, count: int = 30) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def _is_ready(self) -> bool:
        self._refuse_ended()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _refuse_ended(self) -> None:
        assert self.exit_code() is None, f"the {self.name} ended"

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        return process.wait(60)


def metric(process: ServiceProcess, name: str) -> float:
    """The value of a metric, given with its labels if it has any; 0 when it is not shown, or nobody answers (yet)."""
    try:
        with urllib.request.urlopen(f"{process.url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


class EvaluatorProcess(ServiceProcess):
    """One `python -m services.evaluator`."""

    def __init__(self, environ: dict[str, str], entry: list[str] | None = None) -> None:
        super().__init__("evaluator", environ, entry)


class ExporterProcess(ServiceProcess):
    """One `python -m services.exporter`."""

    def __init__(self, environ: dict[str, str], entry: list[str] | None = None) -> None:
        super().__init__("exporter", environ, entry)

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that takes long: who has left its groups holds up nobody."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def evaluators(environ: dict[str, str]) -> Iterator[Callable[..., EvaluatorProcess]]:
    """A maker of evaluator processes that are all ended afterwards."""
    with _all_ended(EvaluatorProcess, environ) as make:
        yield make


@contextmanager
def exporters(environ: dict[str, str]) -> Iterator[Callable[..., ExporterProcess]]:
    """A maker of exporter processes that are all ended afterwards."""
    with _all_ended(ExporterProcess, environ) as make:
        yield make


@contextmanager
def _all_ended(kind: Callable[..., P], environ: dict[str, str]) -> Iterator[Callable[..., P]]:
    made: list[P] = []

    def make(**more: Any) -> P:
        made.append(kind(environ | more.pop("environ", {}), **more))
        return made[-1].start()

    try:
        yield make
    finally:
        for process in made:
            ended = process.exit_code()
            process.end()
            # shown by pytest when the test failed
            where = f"{process.name} on port {process.port}"
            print(f"--- {where}, exit code {ended}, its log ends:\n{process.last_lines()}")
            process.log.unlink()


NO_HISTORY = f"{tempfile.gettempdir()}/shoal-no-history"
"""A folder that is not there: nothing was ever archived."""
NO_EXPORTS = f"{tempfile.gettempdir()}/shoal-no-exports"
"""A folder that is not there: nothing was ever exported."""


def environment(kafka_bootstrap_servers: str, redis_url: str, **settings: str) -> dict[str, str]:
    """The environment of an evaluator, with the short timeouts of tests."""
    return {
        "SHOAL_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers,
        "SHOAL_REDIS_URL": redis_url,
        "SHOAL_HISTORY": NO_HISTORY,
        "SHOAL_EXPORTS": NO_EXPORTS,
        "SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "2",
        "SHOAL_EVALUATOR_COMMIT_INTERVAL_S": "0.3",
        "SHOAL_EVALUATOR_GROUP": "shoal-evaluator",
    } | settings
