"""The watchdog: a part that stands still past its limit ends the process; one that moves or rests does not."""

import subprocess
import sys
import threading
import time

import pytest

from shared.runtime.process import EXIT_STOOD_STILL, Watchdog


def test_only_an_armed_part_past_its_own_limit_is_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    dog = Watchdog(10, "evaluator")
    dog.beat("never armed")
    dog.arm("loop")
    dog.arm("recovery", limit_s=60)
    assert dog.overdue(110.0) is None
    line = "evaluator: loop stood still for 10.5 s (limit 10 s); the process ends itself to be started again"
    assert dog.overdue(110.5) == line
    now_s = 110.0
    dog.beat("loop")
    assert dog.overdue(120.0) is None
    dog.disarm("loop")
    assert dog.overdue(159.0) is None
    assert dog.overdue(161.0) is not None


def test_the_part_longest_past_its_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    dog = Watchdog(10, "evaluator")
    dog.arm("commit", limit_s=1)
    dog.arm("loop", limit_s=5)
    assert "commit stood still for 8.0 s" in (dog.overdue(8.0) or "")


def test_the_thread_ends_the_process_of_a_part_that_stands_still() -> None:
    ended = threading.Event()
    dog = Watchdog(0.1, "test", end=lambda _: ended.set())
    dog.arm("loop")
    dog.start()
    assert ended.wait(5)
    dog.stop()


def test_the_thread_leaves_a_part_that_beats_alone_and_can_be_stopped() -> None:
    lines: list[str] = []
    dog = Watchdog(1, "test", end=lines.append)
    dog.arm("loop")
    dog.start()
    pause = threading.Event()
    for _ in range(15):
        dog.beat("loop")
        pause.wait(0.1)
    dog.stop()
    assert lines == []


_STANDS_STILL = """
import asyncio, time
from shared.runtime.process import Watchdog

async def main():
    dog = Watchdog(0.3, "evaluator")
    dog.arm("event loop")
    dog.start()
    time.sleep(30)

asyncio.run(main())
"""


def test_a_blocked_event_loop_ends_with_a_clear_last_line() -> None:
    ran = subprocess.run([sys.executable, "-c", _STANDS_STILL], capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == EXIT_STOOD_STILL
    assert ran.stderr.splitlines()[-1].startswith("evaluator: event loop stood still for 0.")
    assert "in main" in ran.stderr, "where the threads stood is told before"


_STOPPED_AND_WOKEN = """
import asyncio, os, signal, subprocess
from shared.runtime.process import Watchdog

async def main():
    dog = Watchdog(1, "evaluator")
    dog.arm("event loop")
    dog.start()
    waker = subprocess.Popen(["sh", "-c", f"sleep 2; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)
    for _ in range(20):
        await asyncio.sleep(0.1)
        dog.beat("event loop")
    dog.stop()
    waker.wait()

asyncio.run(main())
"""


def test_a_stop_of_the_whole_process_is_no_fault_of_a_part() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _STOPPED_AND_WOKEN], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
