"""Nothing lost, nothing doubled: kills, a lost worker, and partitions that go and come back, under load."""

import threading
from collections.abc import Callable

import pytest

from tests.fault.state import DEFINITIONS, Verdict, compare
from tests.support.evaluators import EvaluatorProcess, wait_for
from tests.support.stream import Stream

EVENTS = 300_000
USERS = 2_000
KILLS = 5
RATE = 8_000


class Load:
    """A background sender: at least so many events, and on until `finish`."""

    def __init__(self, stream: Stream, seed: int, events: int = EVENTS) -> None:
        self._enough = threading.Event()
        self._sender = threading.Thread(
            target=stream.send_many, args=(events, USERS, seed, RATE, self._enough.is_set), daemon=True
        )
        self._sender.start()

    def finish(self) -> None:
        """Wait until all is sent."""
        self._enough.set()
        self._sender.join(120)
        assert not self._sender.is_alive()


def progressed(stream: Stream, events: int) -> None:
    """Wait until so many more events are committed, so that a fault strikes in the middle of work."""
    before = sum(stream.committed().values())
    wait_for(lambda: sum(stream.committed().values()) >= before + events, 60, f"{events} more events committed")


def assert_right(verdict: Verdict) -> None:
    print(f"{verdict.records} records, {verdict.users} users, {len(verdict.differences)} differences")
    assert verdict.differences == []


@pytest.mark.timeout(600)
def test_state_survives_kills_a_lost_worker_and_moves(
    stream: Stream, new_worker: Callable[..., EvaluatorProcess], seed: int
) -> None:
    worker = new_worker().await_ready()
    stream.activate(DEFINITIONS, 60)
    load = Load(stream, seed)
    for _ in range(KILLS):
        progressed(stream, 3_000)
        worker.kill()
        worker = new_worker().await_ready()
    second = new_worker().await_ready()
    progressed(stream, 3_000)
    second.kill()
    progressed(stream, 3_000)
    guest = new_worker().await_ready()
    progressed(stream, 3_000)
    assert guest.stop() == 0
    load.finish()
    assert_right(compare(stream))
    assert worker.stop() == 0


WITHOUT_APPLIED_OFFSETS = """
from services.evaluator.step import Step
from services.evaluator.__main__ import main
Step.applied_offset_guard = False
main()
"""
WITHOUT_GATE = """
from services.evaluator.batching import BatchApp
from services.evaluator.__main__ import main
BatchApp.gate_closed_while_rebalancing = False
main()
"""


@pytest.mark.timeout(300)
def test_without_applied_offsets_replayed_events_count_twice(
    stream: Stream, new_worker: Callable[..., EvaluatorProcess], seed: int
) -> None:
    """What the guard is for: the same faults without it are noticed by the same comparison."""
    entry = ["-c", WITHOUT_APPLIED_OFFSETS]
    worker = new_worker(entry=entry).await_ready()
    stream.activate(DEFINITIONS, 60)
    load = Load(stream, seed, events=60_000)
    for _ in range(3):
        progressed(stream, 3_000)
        worker.kill()
        worker = new_worker(entry=entry).await_ready()
    load.finish()
    verdict = compare(stream)
    print(f"without applied offsets: {len(verdict.wrong_states)} of {verdict.users} states are wrong")
    assert verdict.wrong_states
