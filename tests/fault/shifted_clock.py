"""A wall clock that is wrong by what a file says, for one process; the monotonic clock stays as it is."""

import os
import tempfile
import time
from pathlib import Path

_ENTRY = """
import os
import time
from pathlib import Path
from shared.runtime.clock import SystemClock

def now_us(self):
    shift_us, rate, since_us = map(float, Path(os.environ["CLOCK_SHIFT"]).read_text().split())
    real_us = time.time_ns() // 1000
    return real_us + round(shift_us + rate * (real_us - since_us))

SystemClock.now_us = now_us
"""


class ShiftedClock:
    """Start a process with `entry` and `environ`, then set how wrong its clock is."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="shoal-clock-")
        os.close(handle)
        self._file = Path(name)
        self.environ = {"CLOCK_SHIFT": name}
        self.set(0)

    def entry(self, service: str) -> list[str]:
        """How to start the service with this clock."""
        return ["-c", _ENTRY + _MAIN[service]]

    def set(self, shift_s: float, rate: float = 0) -> None:
        """From now on the clock is wrong by `shift_s`, and by `rate` seconds more each second."""
        half_made = self._file.with_suffix(".new")
        half_made.write_text(f"{shift_s * 1e6} {rate} {time.time_ns() // 1000}")
        half_made.replace(self._file)

    def remove(self) -> None:
        """Remove the file, when no process reads it any more."""
        self._file.unlink(missing_ok=True)


_MAIN = {
    "evaluator": "from services.evaluator.__main__ import main; main()\n",
    "api": "from services.api.__main__ import main; main([])\n",
}
