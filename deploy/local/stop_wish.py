"""Ctrl-C and its relatives: an interruption while we start, a condition to wait for once we run."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants the end while we are still starting."""


class StopWish:
    """Handles SIGINT, SIGTERM and SIGHUP while entered; a shell that runs us in the background ignores SIGINT.

    The first one raises Interrupted in the main thread, until `wait` or `interrupt_no_more` is called. Further
    ones change nothing: the stop in order has begun.
    """

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._interrupts = True
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for number in _SIGNALS:
            # ignored by nohup: the run is to outlive the terminal
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() itself returned

    def wait(self) -> None:
        """Return when the end is wanted."""
        self._interrupts = False
        self._wanted.wait()

    def interrupt_no_more(self) -> None:
        """From here on signals are only noted."""
        self._interrupts = False
        self._wanted.set()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        first = not self._wanted.is_set()
        self._wanted.set()
        if first and self._interrupts:
            raise Interrupted
