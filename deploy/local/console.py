"""What the person at the terminal sees: one line before every step, and how long the long ones took."""

import contextlib
import sys
import time
from collections.abc import Iterator

_WORTH_SAYING_S = 1


def say(line: str = "") -> None:
    """Print a line at once, also into a pipe. A reader who has gone changes nothing."""
    with contextlib.suppress(BrokenPipeError):
        print(line, flush=True)


def complain(line: str) -> None:
    """Print a line to stderr at once."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a step; when it is through and took longer than a second, say how long."""
    say(f"{text} ...")
    started = time.monotonic()
    yield
    took_s = time.monotonic() - started
    if took_s >= _WORTH_SAYING_S:
        say(f"    {took_s:.1f} s")
