"""What each process held in memory while a soak ran, and how fast it grew."""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import psutil

INTERVAL_S = 5.0
WARM_UP_S = 60.0
"""Left out of a life: it starts and recovers."""
LEAST_S = 300.0
"""A shorter rest of a life says nothing about growth."""
_MIB = 1 << 20

Running = Callable[[], Iterable[tuple[str, int | None]]]
"""Name and process id of everything to look at; None: it does not run now."""


class Growth(NamedTuple):
    """One process's life.

    floor_mib: the least it held in each minute after the warm-up. floor_mib_h: their slope by least squares, None when
    they are few: peaks pass, what is lost stays.
    """

    name: str
    pid: int
    lived_s: float
    first_mib: float
    last_mib: float
    peak_mib: float
    floor_mib: list[float]
    floor_mib_h: float | None


class Memory:
    """Samples the resident set of processes in a thread of its own, from `start` to `stop`."""

    def __init__(self, running: Running, interval_s: float = INTERVAL_S) -> None:
        self._running, self._interval_s = running, interval_s
        self._samples: dict[tuple[str, int, float], list[tuple[float, float]]] = {}
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> list[Growth]:
        """Look no more: what became of each process, in the order of their starts."""
        self._enough.set()
        self._thread.join()
        return [_growth(name, pid, samples) for (name, pid, _), samples in self._samples.items()]

    def _run(self) -> None:
        while not self._enough.wait(self._interval_s):
            for name, pid in self._running():
                if pid is not None:
                    self._sample(name, pid)

    def _sample(self, name: str, pid: int) -> None:
        try:
            process = psutil.Process(pid)
            began, size = process.create_time(), process.memory_info().rss
        except psutil.NoSuchProcess:
            return
        if size:  # one that has ended and is not fetched yet holds nothing
            # with its beginning: numbers of processes come again
            self._samples.setdefault((name, pid, began), []).append((time.monotonic(), size / _MIB))


def _growth(name: str, pid: int, samples: list[tuple[float, float]]) -> Growth:
    began_s, first = samples[0]
    ended_s, last = samples[-1]
    minutes: dict[int, list[float]] = defaultdict(list)
    for at_s, size in samples:
        if at_s >= began_s + WARM_UP_S:
            minutes[int((at_s - began_s) // 60)].append(size)
    floors = {minute: min(sizes) for minute, sizes in minutes.items()}
    slope = None
    if len(floors) * 60 >= LEAST_S:
        slope = statistics.linear_regression(list(floors), list(floors.values())).slope * 60
    peak = max(size for _, size in samples)
    return Growth(name, pid, ended_s - began_s, first, last, peak, list(floors.values()), slope)
