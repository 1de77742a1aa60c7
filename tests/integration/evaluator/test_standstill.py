"""A worker that stands still without an error ends itself with a line that says what stood still."""

from collections.abc import Callable
from pathlib import Path

from shared.runtime.process import EXIT_STOOD_STILL
from tests.support.evaluators import EvaluatorProcess, wait_for
from tests.support.stream import Stream

NewWorker = Callable[..., EvaluatorProcess]

PATIENCE = {"SHOAL_EVALUATOR_STANDSTILL_S": "4"}

BLOCKED_LOOP = """
import os, time
from pathlib import Path
from services.evaluator.sweep import Sweep
sweeping = Sweep._look
async def look(self):
    if Path(os.environ["BLOCK_WHEN"]).exists():
        time.sleep(60)
    await sweeping(self)
Sweep._look = look
"""
HANGING_COMMIT = """
import asyncio
from services.evaluator.batching import BatchConsumerThread
async def commit(self, offsets):
    await asyncio.sleep(60)
BatchConsumerThread._commit = commit
"""
SILENT_RECOVERY = """
import threading
from services.evaluator import changelog
def recover(consumer, partition, epoch, on_progress):
    threading.Event().wait(60)
changelog.recover = recover
"""
START = "from services.evaluator.__main__ import main; main()"


def ends_itself(worker: EvaluatorProcess, part: str) -> None:
    wait_for(lambda: worker.exit_code() is not None, 60, f"the worker ends itself; its log:\n{worker.last_lines()}")
    assert worker.exit_code() == EXIT_STOOD_STILL
    assert part in worker.last_lines(1)
    assert "stood still" in worker.last_lines(1)


def test_a_refused_join(stream: Stream, new_worker: NewWorker) -> None:
    """The broker refuses a session timeout below its minimum, and Faust would wait for ever."""
    ends_itself(new_worker(environ=PATIENCE | {"SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "0.5"}), "joining the group")


def test_a_blocked_event_loop(stream: Stream, new_worker: NewWorker, tmp_path: Path) -> None:
    flag = tmp_path / "block"
    worker = new_worker(environ=PATIENCE | {"BLOCK_WHEN": str(flag)}, entry=["-c", BLOCKED_LOOP + START])
    worker.await_ready()
    flag.touch()
    ends_itself(worker, "the event loop")


def test_a_recovery_that_hangs(stream: Stream, new_worker: NewWorker) -> None:
    ends_itself(new_worker(environ=PATIENCE, entry=["-c", SILENT_RECOVERY + START]), "recovery of partition")


def test_a_commit_that_hangs(stream: Stream, new_worker: NewWorker) -> None:
    worker = new_worker(environ=PATIENCE, entry=["-c", HANGING_COMMIT + START])
    worker.await_ready()
    stream.send("anna", "buy")
    stream.flush()
    ends_itself(worker, "the commit of offsets")
