"""How far an export is, and whether it may go on: shared by the thread that makes it and those who watch."""

import threading
import time
from collections.abc import Callable

_LOOK_S = 0.1
_TELL_S = 5
"""A shorter wait is normal, and told to nobody."""


class Abandoned(Exception):  # noqa: N818 - it names the thing
    """Stop: the request is left for whoever takes it next."""


class ExportFailed(Exception):  # noqa: N818 - it names the thing
    """Give up: the text tells why, for the one who asked."""


class Course:
    """`row_count`: rows found so far. `detail`: what is waited for, if that takes long."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s`: the longest that an attempt waits, all its waits together."""
        self._patience_s, self._waited_s = patience_s, 0.0
        self._abandoned = threading.Event()
        self.row_count = 0
        self.detail: str | None = None

    def begin(self) -> None:
        """Another attempt."""
        self.row_count, self._waited_s = 0, 0.0

    def abandon(self) -> None:
        """Let the export end soon, without a file."""
        self._abandoned.set()

    def go_on(self, rows: int = 0) -> None:
        """So many more rows are found. Raises Abandoned when told to end."""
        self.row_count += rows
        if self._abandoned.is_set():
            raise Abandoned

    def pause(self, seconds: float, why: str | None) -> None:
        """Wait so long, and tell why. Raises Abandoned."""
        self.detail = why
        if self._abandoned.wait(seconds):
            raise Abandoned

    def wait(self, lack: Callable[[], str | None]) -> None:
        """Wait until nothing lacks. Raises Abandoned, and ExportFailed when that takes too long."""
        began_s, waited_s = time.monotonic(), self._waited_s
        while (lacking := lack()) is not None:
            now_s = time.monotonic() - began_s
            self._waited_s = waited_s + now_s
            if self._waited_s > self._patience_s:
                raise ExportFailed(f"{lacking}: given up after {self._patience_s:g} s, ask again later")
            self.pause(_LOOK_S, lacking if now_s > _TELL_S else None)
        self.detail = None
