"""What every `__main__` needs: one clear line for a fault of the surroundings, a clean end on a signal, a watchdog."""

import asyncio
import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from shared.runtime.health import CannotListen
from shared.runtime.kafka import KafkaUnavailable, WrongTopic
from shared.runtime.settings import InvalidSettings

EXIT_REFUSED = 2
"""The surroundings are wrong (settings, topics, port): starting again changes nothing."""
EXIT_STOOD_STILL = 70
"""The watchdog ended the process: starting again is right."""
EXIT_TRY_AGAIN = 75
"""A server that is needed did not answer: starting again later is right."""

_STDERR = 2
_LONGEST_TICK_S = 0.5

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""The body of a service: returns soon after the event is set."""

REFUSALS: tuple[type[Exception], ...] = (InvalidSettings, WrongTopic, CannotListen)
_UNAVAILABLE: tuple[type[Exception], ...] = (KafkaUnavailable,)


@contextlib.contextmanager
def clear_end(
    name: str, refusals: tuple[type[Exception], ...] = (), outages: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """End the process with one line `<name>: <text>` for a fault that the text explains.

    Exit code 2 for `REFUSALS` and the service's own `refusals`, 75 for KafkaUnavailable and its own `outages`.
    Anything else passes: it is a defect, and its traceback is wanted.
    """
    try:
        yield
    except REFUSALS + refusals as fault:
        _end(f"{name}: {fault}", EXIT_REFUSED)
    except _UNAVAILABLE + outages as fault:
        _end(f"{name}: {fault}", EXIT_TRY_AGAIN)


def run(
    name: str,
    main: Main,
    refusals: tuple[type[Exception], ...] = (),
    outages: tuple[type[Exception], ...] = (),
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run `main(stop)` in a new event loop, with `clear_end`; SIGTERM and SIGINT set `stop`, repeated ones too."""

    async def with_signals() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Repeats change nothing: Ctrl-C reaches the group, and then the runner asks again in order.
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    with clear_end(name, refusals, outages), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(with_signals())


def _end(line: str, code: int) -> None:
    print(" ".join(line.split()), file=sys.stderr, flush=True)  # noqa: T201 - logs may not be configured yet
    raise SystemExit(code)


class Watchdog:
    """A thread that ends the process when an armed part has not beaten for its limit.

    The parts are what may stand still without an error: the event loop, recovery, a commit. A thread, because a
    blocked event loop watches nothing. It cannot see a call that never releases the interpreter's lock.
    A stop of the whole process (SIGSTOP, a suspended machine) is no fault of a part: all get their time anew.
    """

    def __init__(self, limit_s: float, name: str, end: Callable[[str], None] | None = None) -> None:
        """`limit_s` is the limit of parts armed without their own; `name` begins the last line."""
        self._limit_s, self._name = limit_s, name
        self._end = end or end_now
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def arm(self, part: str, limit_s: float | None = None) -> None:
        """From now on `part` must beat at least every `limit_s` seconds."""
        self._beats[part] = time.monotonic()
        self._limits[part] = limit_s or self._limit_s

    def beat(self, part: str) -> None:
        """`part` moves. Cheap; from any thread; without effect on a part that is not armed."""
        self._beats[part] = time.monotonic()

    def disarm(self, part: str) -> None:
        """`part` may rest."""
        self._limits.pop(part, None)

    def overdue(self, now_s: float) -> str | None:
        """The line about the part longest past its limit at `now_s` (of time.monotonic), or None."""
        late = [
            (silence - limit_s, f"{self._name}: {part} stood still for {silence:.1f} s (limit {limit_s:g} s)")
            for part, limit_s in list(self._limits.items())
            if (silence := now_s - self._beats[part]) > limit_s
        ]
        return f"{max(late)[1]}; the process ends itself to be started again" if late else None

    def start(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended. Does nothing when not started."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        looked_s = time.monotonic()
        while not self._stopped.wait(tick_s := self._tick_s()):
            now_s = time.monotonic()
            if now_s - looked_s - tick_s > self._shortest_s():
                # Said to nobody: a log's lock may be held by the thread that stands still.
                self._start_anew(now_s)
            looked_s = now_s
            if line := self.overdue(now_s):
                self._end(line)
                return

    def _shortest_s(self) -> float:
        return min(list(self._limits.values()), default=self._limit_s)

    def _tick_s(self) -> float:
        return min(self._shortest_s() / 10, _LONGEST_TICK_S)

    def _start_anew(self, now_s: float) -> None:
        for part in list(self._limits):
            self._beats[part] = now_s


def end_now(line: str, *, traces: bool = True, code: int = EXIT_STOOD_STILL) -> None:
    """Write where every thread stands (`traces`) and, last, `line` to stderr; end the process with this code."""
    # A full pipe must not hold up the end: without blocking, what does not fit is lost.
    os.set_blocking(_STDERR, False)
    if traces:
        faulthandler.dump_traceback(_STDERR, all_threads=True)
    with contextlib.suppress(OSError):
        os.write(_STDERR, f"{line}\n".encode())
    os._exit(code)


def give_back_memory() -> None:
    """Return freed memory to the system, where the C library can be told to. Takes up to some 100 ms; any thread.

    glibc keeps what was freed in an arena for each of many threads: those of Kafka's consumers, which come and go with
    the partitions, would let a process grow by some MiB at each change of its group.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
