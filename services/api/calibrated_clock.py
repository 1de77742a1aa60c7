"""The clock of lookups: that of Redis, which every api shares, carried on between two questions by this machine's."""

import asyncio
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.runtime.clock import Clock

ASK_EVERY_S = 10.0
_ANSWER_S = 0.9


class CalibratedClock:
    """Redis TIME plus what the monotonic clock says has passed since; before the first answer, this machine's clock.

    So a wrong clock of an api host, or a jump of it, shows in no answer.
    """

    def __init__(self, redis: Redis, own: Clock, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._redis, self._own, self._monotonic_ns = redis, own, monotonic_ns
        self._start_us: int | None = None
        """What Redis's clock showed when the monotonic one was at zero."""

    def now_us(self) -> int:
        """The current instant in microseconds since 1970 (UTC)."""
        return self._own.now_us() if self._start_us is None else self._start_us + self._monotonic_ns() // 1000

    async def run(self) -> None:
        """Calibrate until cancelled; without an answer the last calibration stands."""
        while True:
            await self.calibrate()
            await asyncio.sleep(ASK_EVERY_S)

    async def calibrate(self) -> None:
        """Ask once. The answer is taken to be of the middle of the round trip."""
        before_us = self._monotonic_ns() // 1000
        try:
            async with asyncio.timeout(_ANSWER_S):
                seconds, micros = await self._redis.time()
        except (RedisError, OSError, TimeoutError):
            return  # lookups say that Redis is away
        self._start_us = seconds * 1_000_000 + micros - (before_us + self._monotonic_ns() // 1000) // 2
