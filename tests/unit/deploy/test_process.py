"""A child process: it is known by a pid file, its log explains its end, and a killed runner's are found."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.local.errors import LocalRunError, describe_os_error
from deploy.local.process import ManagedProcess, end_left_over, last_line, read_pid_file, write_pid_file

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def managed(folder: Path, command: list[str], name: str = "child") -> ManagedProcess:
    """A child that prints `up` first."""
    return ManagedProcess(name, command, folder, title="The child")


def says_up(process: ManagedProcess) -> bool:
    return last_line(process.log) == "up"


def test_it_is_ready_when_it_answers_and_gone_when_it_is_stopped(tmp_path: Path) -> None:
    process = managed(tmp_path, SLEEPER)
    process.start()
    process.await_ready(lambda: says_up(process), 20)
    pid_file = tmp_path / "run" / "child.pid"
    found = read_pid_file(pid_file)
    assert found is not None
    assert found.pid == process.pid
    process.stop()
    assert process.exit_code == -15
    assert not found.is_running()
    assert not pid_file.exists()


def test_one_that_ends_at_start_is_explained_by_its_last_line(tmp_path: Path) -> None:
    process = managed(tmp_path, [sys.executable, "-c", "print('first'); print('port 1 is taken'); print()"])
    process.start()
    with pytest.raises(LocalRunError, match=r"^The child ended at start: port 1 is taken \(log: .*child.log\)$"):
        process.await_ready(lambda: False, 20)


def test_one_that_does_not_answer_is_stopped_and_the_reason_it_gave_is_told(tmp_path: Path) -> None:
    process = managed(tmp_path, SLEEPER)
    process.start()
    with pytest.raises(LocalRunError, match=r"was not ready within 0\.1 s: kafka: no answer"):
        process.await_ready(lambda: False, 0.1, why_not=lambda: "kafka: no answer")
    assert process.pid is None


def test_waiting_for_it_can_be_given_up(tmp_path: Path) -> None:
    process = managed(tmp_path, SLEEPER)
    process.start()
    process.give_up()
    with pytest.raises(LocalRunError, match="stopped while it started"):
        process.await_ready(lambda: False, 20)
    process.stop()


def test_one_that_does_not_heed_is_killed(tmp_path: Path) -> None:
    process = managed(tmp_path, STUBBORN)
    process.start()
    process.await_ready(lambda: says_up(process), 20)
    process.stop(timeout_s=0.2)
    assert process.exit_code == -9


def test_the_log_before_the_last_start_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        process = managed(tmp_path, [sys.executable, "-c", f"print('{text}')"])
        process.start()
        assert process.wait(20)
    assert last_line(tmp_path / "logs" / "child.log") == "second"
    assert last_line(tmp_path / "logs" / "child.log.1") == "first"


def test_a_full_disk_in_a_log_is_said_plainly(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("FATAL: could not write: No space left on device\nshutting down\n")
    assert last_line(log) == "the disk is full"
    assert last_line(tmp_path / "none.log") == "it wrote nothing"
    full = OSError(28, "No space left on device", "/data/file")
    assert describe_os_error(full) == "The disk is full (/data/file): free some space and start again."


def test_what_a_killed_runner_left_is_ended(tmp_path: Path) -> None:
    children = [managed(tmp_path, SLEEPER, "mild"), managed(tmp_path, STUBBORN, "stubborn")]
    for child in children:
        child.start()
        child.await_ready(lambda c=child: says_up(c), 20)  # type: ignore[misc]
    assert end_left_over(tmp_path, timeout_s=0.5) == ["mild", "stubborn"]
    assert [child.exit_code for child in children] == [-15, -9]
    assert list((tmp_path / "run").iterdir()) == []
    assert end_left_over(tmp_path) == []


def test_a_pid_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "postgres.pid"
    with subprocess.Popen(SLEEPER) as stranger:
        started = psutil.Process(stranger.pid).create_time()
        file.write_text(f"{stranger.pid} {started - 100}\n")
        assert end_left_over(tmp_path) == []
        assert stranger.poll() is None
        stranger.kill()


def test_a_damaged_pid_file_speaks_of_nobody(tmp_path: Path) -> None:
    file = tmp_path / "x.pid"
    file.write_text("")
    assert read_pid_file(file) is None
    write_pid_file(file, os.getpid())
    assert read_pid_file(file) == psutil.Process()
    assert time.time() > psutil.Process().create_time()
