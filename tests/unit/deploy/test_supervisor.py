"""What ends is started again, after a pause that grows; a stop ends all in the reverse order of the start."""

import os
import signal
import sys
import threading
from pathlib import Path

from deploy.local.errors import LocalRunError
from deploy.local.process import ManagedProcess
from deploy.local.supervisor import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_AFTER_S, Supervisor, how, next_pause_s

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


class Child:
    """A unit that is ready as soon as it is started; `refusals` of its next starts fail."""

    def __init__(self, name: str, folder: Path, stopped: list[str], refusals: int = 0) -> None:
        self.name = name
        self.process = ManagedProcess(name, SLEEPER, folder)
        self.starts = 0
        self._stopped = stopped
        self._refusals = refusals

    def start(self) -> None:
        self.starts += 1
        self.process.start()
        if self.starts > 1 and self._refusals:
            self._refusals -= 1
            self.process.stop()
            raise LocalRunError(f"{self.name} did not want to")

    def stop(self) -> None:
        self._stopped.append(self.name)
        self.process.stop()


def test_one_that_is_killed_runs_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    stopped: list[str] = []
    lines: list[str] = []
    again = threading.Event()
    children = [Child("server", tmp_path, stopped), Child("service", tmp_path, stopped)]
    for child in children:
        child.start()
    supervisor = Supervisor(children, lines.append, again.set)
    supervisor.start()
    first = children[1].process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert again.wait(20)
    assert children[1].process.pid not in (None, first)
    assert [child.starts for child in children] == [1, 2]
    assert lines[0].startswith("service ended (signal 9): ")
    supervisor.stop()
    assert stopped == ["service", "server"]
    assert [child.process.pid for child in children] == [None, None]


def test_a_start_that_fails_is_tried_again(tmp_path: Path) -> None:
    lines: list[str] = []
    again = threading.Event()
    child = Child("service", tmp_path, [], refusals=1)
    child.start()
    supervisor = Supervisor([child], lines.append, again.set)
    supervisor.start()
    assert child.process.pid is not None
    os.kill(child.process.pid, signal.SIGKILL)
    assert again.wait(20)
    assert child.starts == 3
    assert "service did not want to" in lines
    supervisor.stop()


def test_a_stop_ends_the_pause_before_a_start(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = threading.Event()
    child = Child("service", tmp_path, [])
    child.start()

    def report(line: str) -> None:
        lines.append(line)
        ended.set()

    supervisor = Supervisor([child], report, lambda: None)
    supervisor.start()
    assert child.process.pid is not None
    os.kill(child.process.pid, signal.SIGKILL)
    assert ended.wait(20)
    supervisor.stop()
    assert child.starts == 1


def test_the_pause_doubles_up_to_a_limit_and_starts_anew_after_a_steady_run() -> None:
    pauses = [0.0]
    while pauses[-1] < LONGEST_PAUSE_S:
        pauses.append(next_pause_s(pauses[-1], ran_s=1))
    assert pauses == [0.0, FIRST_PAUSE_S, 1, 2, 4, 8, 16, LONGEST_PAUSE_S]
    assert next_pause_s(LONGEST_PAUSE_S, ran_s=1) == LONGEST_PAUSE_S
    assert next_pause_s(LONGEST_PAUSE_S, ran_s=STEADY_AFTER_S) == FIRST_PAUSE_S


def test_an_end_is_told_in_words() -> None:
    assert [how(-9), how(70), how(None)] == ["signal 9", "exit code 70", "still running"]
