"""One child process: its pid file, its log, when it answers, and how it ends."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.errors import LocalRunError

_POLL_S = 0.05
_TAIL_BYTES = 8192


class ManagedProcess:
    """A child in its own session, so that Ctrl-C at the terminal reaches the runner alone and the order is kept.

    `folder` gets `run/<name>.pid` (who it is, for a later runner) and `logs/<name>.log` (the previous one is kept
    as `.log.1`).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        title: str | None = None,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.title = title or name
        self.log = folder / "logs" / f"{name}.log"
        self._command = list(command)
        self._pid_file = folder / "run" / f"{name}.pid"
        self._env = dict(env) if env is not None else None
        self._stop_signal = stop_signal
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = threading.Event()

    @property
    def pid(self) -> int | None:
        """The process id, None before the start and after the end."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal), None while it runs."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start it; returns at once. Raises OSError when the program or the folder cannot be used."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._env,
                cwd=self._cwd,
            )
        write_pid_file(self._pid_file, self._process.pid)

    def await_ready(
        self, answers: Callable[[], bool], timeout_s: float, why_not: Callable[[], str] = lambda: ""
    ) -> None:
        """Ask until it answers; one that does not is stopped.

        Raises:
            LocalRunError: it ended (with its last log line), or gave no answer within the time (with the reason
                that `why_not` knows, or else its last log line).
        """
        deadline = time.monotonic() + timeout_s
        while not answers():
            if self.wait(_POLL_S):
                raise LocalRunError(f"{self.title} ended at start: {self.last_line()} (log: {self.log})")
            if self._given_up.is_set():
                raise LocalRunError(f"{self.title} was stopped while it started")
            if time.monotonic() > deadline:
                reason = why_not() or self.last_line()
                self.stop()
                raise LocalRunError(f"{self.title} was not ready within {timeout_s:g} s: {reason} (log: {self.log})")

    def give_up(self) -> None:
        """Let nobody wait for it any longer: everything is about to be stopped."""
        self._given_up.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when it still runs after that time."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._pid_file.unlink(missing_ok=True)
        return True

    def stop(self, timeout_s: float = 30) -> None:
        """Ask it to end, insist after that time, and wait for the end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        if not self.wait(timeout_s):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._pid_file.unlink(missing_ok=True)

    def last_line(self) -> str:
        """The last line of the log that says something; a full disk is said plainly."""
        return last_line(self.log)


def last_line(log: Path) -> str:
    """The last non-empty line of a log, or that there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        text = ""
    if "No space left on device" in text:
        return "the disk is full"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it wrote nothing"


def write_pid_file(file: Path, pid: int) -> None:
    """Note a process by number and start time: numbers are used again, the pair is not."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return  # it ended already; who waits for it will see
    temporary = file.with_suffix(".tmp")
    temporary.write_text(f"{pid} {started}\n")
    temporary.replace(file)


def read_pid_file(file: Path) -> psutil.Process | None:
    """The running process a pid file speaks of; None when it is gone or the number is another's now."""
    try:
        pid, started = file.read_text().split()
        process = psutil.Process(int(pid))
        # some kernels recompute the start from the boot time, which the clock's corrections move a little
        same = abs(process.create_time() - float(started)) < 2
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return process if same and runs(process) else None


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended. One that ended and was not fetched by its parent yet has ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def await_end(processes: Iterable[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for the end of processes that are not our children; the ones that still run after that time."""
    remaining = [process for process in processes if runs(process)]
    deadline = time.monotonic() + timeout_s
    while remaining and time.monotonic() < deadline:
        time.sleep(_POLL_S)  # nobody tells us about another's children
        remaining = [process for process in remaining if runs(process)]
    return remaining


def end_left_over(folder: Path, timeout_s: float = 30) -> list[str]:
    """End what a runner that was killed has left running under this folder.

    Returns:
        The names of the processes ended.
    """
    found = {file: read_pid_file(file) for file in sorted((folder / "run").glob("*.pid")) if file.stem != "runner"}
    running = {file: process for file, process in found.items() if process is not None}
    for file, process in running.items():
        # PostgreSQL would wait for its clients on SIGTERM
        _signal(process, signal.SIGINT if file.stem == "postgres" else signal.SIGTERM)
    alive = await_end(running.values(), timeout_s)
    for process in alive:
        _signal(process, signal.SIGKILL)
    await_end(alive, timeout_s)
    for file in found:
        file.unlink(missing_ok=True)
    return [file.stem for file in running]


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
