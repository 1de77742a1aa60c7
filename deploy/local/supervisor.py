"""Keeps processes running: one that ends is started again, after a pause that grows while it keeps ending."""

import threading
import time
from collections.abc import Callable, Sequence

from deploy.local.errors import LocalRunError
from deploy.local.units import Unit, give_up

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
"""Who ran so long starts again with the first pause."""


def next_pause_s(last_pause_s: float, ran_s: float) -> float:
    """The pause before the next start of something that ran for `ran_s` seconds after a pause of `last_pause_s`."""
    return FIRST_PAUSE_S if ran_s >= STEADY_AFTER_S else min(max(last_pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)


class Supervisor:
    """One thread for each unit that waits for its end; `changed` is called after each new start."""

    def __init__(self, units: Sequence[Unit], report: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._units = list(units)
        self._report = report
        self._changed = changed
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._threads = [threading.Thread(target=self._guard, args=(unit,), daemon=True) for unit in self._units]

    def start(self) -> None:
        """Begin to watch the units, which run already."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop watching, then stop the units: the last given first."""
        self._stopping.set()
        give_up(self._units)
        with self._starting:  # no unit is left half started
            pass
        for unit in reversed(self._units):
            unit.stop()

    def _guard(self, unit: Unit) -> None:
        pause_s, started = 0.0, time.monotonic()
        while not self._stopping.is_set():
            process = unit.process
            if process is None:
                return
            process.wait()
            if self._stopping.is_set():
                return
            pause_s = next_pause_s(pause_s, time.monotonic() - started)
            self._report(f"{process.title} ended ({how(process.exit_code)}): {process.last_line()}")
            self._report(f"    starting {process.title} again in {pause_s:g} s (log: {process.log}.1)")
            if self._stopping.wait(pause_s):
                return
            started = time.monotonic()
            self._start(unit)

    def _start(self, unit: Unit) -> None:
        with self._starting:
            if self._stopping.is_set():
                return
            try:
                unit.start()
            except (LocalRunError, OSError) as error:
                self._report(str(error))
                return
        self._changed()
        self._report(f"    {unit.process.title if unit.process else unit.name} is ready again")


def how(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is None:
        return "still running"
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
