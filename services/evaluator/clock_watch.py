"""How far the wall clock of this machine and the brokers' clock are apart.

Time stands in two places: append times, by which events count, and the wall clock, by which users leave when no
event comes. Both must be the same time, or a window ends hours too early and T can never go back.
"""

import logging
import time
from collections.abc import Callable

from shared.runtime import metrics
from shared.runtime.clock import Clock

log = logging.getLogger(__name__)

ALARM_US = 1_000_000
_APPEND_UNIT_US = 1_000
_UNKNOWN = 1 << 62
_TELL_EVERY_S = 10.0


class ClockWatch:
    """Bounds of the skew, wall clock minus append time, narrowed by everything that is seen of both.

    Between two measurements the monotonic clock tells of jumps of the wall clock.
    """

    def __init__(self, clock: Clock, limit_us: int, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`limit_us`: so far apart they may be."""
        self._clock, self._limit_us, self._monotonic_s = clock, limit_us, monotonic_s
        self._low_us, self._high_us = -_UNKNOWN, _UNKNOWN
        self._looked_us, self._looked_s = clock.now_us(), monotonic_s()
        self._told_s = float("-inf")

    def now_us(self) -> int:
        """The wall clock; a jump since the last look moves the bounds."""
        now_us, now_s = self._clock.now_us(), self._monotonic_s()
        jump_us = now_us - self._looked_us - round((now_s - self._looked_s) * 1_000_000)
        self._looked_us, self._looked_s = now_us, now_s
        if abs(jump_us) > ALARM_US:
            known = self._low_us > -_UNKNOWN or self._high_us < _UNKNOWN
            # nothing measured yet: taken to have been right before
            self._set(self._low_us + jump_us, self._high_us + jump_us) if known else self._set(jump_us, jump_us)
        return now_us

    def appended(self, appended_us: int, not_before_us: int | None = None) -> None:
        """A message with this append time was read just now; it was appended after `not_before_us` (wall clock)."""
        high_us = self.now_us() - appended_us
        low_us = -_UNKNOWN if not_before_us is None else not_before_us - appended_us - _APPEND_UNIT_US
        if low_us > high_us:  # the wall clock was set back in between
            low_us = -_UNKNOWN
        if low_us > self._high_us or high_us < self._low_us:  # one of the clocks drifted since
            self._set(low_us, high_us)
        else:
            self._set(max(low_us, self._low_us), min(high_us, self._high_us))

    @property
    def skew_us(self) -> int:
        """The least skew that explains what was seen; positive: the wall clock is ahead."""
        return max(0, self._low_us) or min(0, self._high_us)

    @property
    def fault(self) -> str | None:
        """Why the wall clock may not be used, or None."""
        skew_us = self.skew_us
        if abs(skew_us) <= self._limit_us:
            return None
        where = "ahead of" if skew_us > 0 else "behind"
        return (
            f"the clock of this machine is {abs(skew_us) / 1e6:.0f} s {where} the brokers' "
            f"(limit {self._limit_us / 1e6:g} s): nobody enters or leaves by time alone until they agree"
        )

    def is_ahead(self, appended_us: int) -> bool:
        """Whether this append time lies so far in the future that T must not follow it."""
        return appended_us - self.now_us() > self._limit_us

    def _set(self, low_us: int, high_us: int) -> None:
        self._low_us, self._high_us = low_us, high_us
        skew_us = self.skew_us
        metrics.CLOCK_SKEW.set(skew_us / 1e6)
        if abs(skew_us) > ALARM_US and self._monotonic_s() - self._told_s > _TELL_EVERY_S:
            self._told_s = self._monotonic_s()
            log.warning("the clocks of this machine and the brokers are %.1f s apart", skew_us / 1e6)
