"""What is started, watched and stopped: a server or a service."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol

from deploy.local.process import ManagedProcess


class Unit(Protocol):
    """`start` returns when it is ready or raises LocalRunError; `process` is None before the first start."""

    @property
    def name(self) -> str: ...
    @property
    def process(self) -> ManagedProcess | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


def start_together(units: Sequence[Unit]) -> None:
    """Start all at once and return when all are ready.

    Raises:
        LocalRunError: one line about the first, in the given order, that failed; others may be running.
    """
    starts: list[Callable[[], None]] = [unit.start for unit in units]
    with ThreadPoolExecutor(max_workers=len(starts) or 1) as pool:
        futures = [pool.submit(start) for start in starts]
        try:
            wait(futures)
        except BaseException:
            # Ctrl-C: the threads are not to wait for what will be stopped
            give_up(units)
            raise
    for future in futures:
        future.result()


def give_up(units: Sequence[Unit]) -> None:
    """Let nobody wait for these any longer."""
    for unit in units:
        if unit.process is not None:
            unit.process.give_up()
