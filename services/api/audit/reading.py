"""What the membership store says of some users of one partition: values, clock and applied offset at once."""

import asyncio
from collections.abc import Sequence
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.api.audit.comparison import Reading
from services.api.audit.skipped import Skipped
from shared.contracts.redis_keys import applied_key, clock_key, epoch_of, head_key, rebuilding_key, user_key
from shared.runtime.clock import Clock

_TIMEOUT_S = 2.0


async def read_partition(redis: Redis, clock: Clock, partition: int, tenant: int, users: Sequence[str]) -> Reading:
    """Read in one step, between two scripts of the partition's owner. Raises Skipped."""
    keys = [head_key(partition), clock_key(partition), applied_key(partition), rebuilding_key(partition)]
    read_at = clock.now_us()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            wanted = keys + [user_key(partition, tenant, user_id) for user_id in users]
            found = cast("list[bytes | None]", await redis.mget(wanted))
    except (RedisError, OSError, TimeoutError) as error:
        raise Skipped("unavailable", f"the membership store does not answer: {error}") from error
    head, clock_us, applied, rebuilding, *values = found
    if head is None or clock_us is None or applied is None or rebuilding is not None:
        raise Skipped("rebuilding", "the memberships of the partition are being rebuilt")
    log_epoch, next_offset = applied.decode().split()
    return Reading(
        epoch_of(head), int(clock_us), read_at, log_epoch, int(next_offset), dict(zip(users, values, strict=True))
    )
