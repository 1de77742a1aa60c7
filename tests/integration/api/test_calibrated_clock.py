"""Lookups use Redis's clock: an api host whose own is wrong answers as the others do."""

import time

from redis.asyncio import Redis

from services.api.calibrated_clock import CalibratedClock

HOUR_US = 3_600_000_000


class Wrong:
    """Two hours behind."""

    def now_us(self) -> int:
        return time.time_ns() // 1000 - 2 * HOUR_US


async def test_a_wrong_clock_is_put_right_by_redis(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    clock = CalibratedClock(redis, Wrong())
    assert abs(clock.now_us() - Wrong().now_us()) < 1_000_000
    await clock.calibrate()
    assert abs(clock.now_us() - time.time_ns() // 1000) < 100_000
    await redis.aclose()


async def test_while_redis_is_away_the_last_calibration_stands(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    clock = CalibratedClock(redis, Wrong())
    await clock.calibrate()
    await redis.aclose()
    clock._redis = Redis.from_url("redis://127.0.0.1:1")
    await clock.calibrate()
    assert abs(clock.now_us() - time.time_ns() // 1000) < 100_000
