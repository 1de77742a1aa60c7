"""The wall clock, read in one place; the domain takes instants as arguments."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where instants come from."""

    def now_us(self) -> int:
        """The current instant in microseconds since 1970 (UTC)."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_us(self) -> int:
        """The current instant in microseconds since 1970 (UTC)."""
        return time.time_ns() // 1000
