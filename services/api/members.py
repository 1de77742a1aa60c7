"""How many members segments have: the sum over the partitions of the membership store."""

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.contracts.redis_keys import members_key

_TIMEOUT_S = 0.9


async def count_members(
    redis: Redis, partitions: int, tenant: int, segment_ids: Sequence[int]
) -> dict[int, int | None]:
    """Members by segment id; None for all while the store does not answer within a second."""
    if not segment_ids:
        return {}
    pipeline = redis.pipeline(transaction=False)
    for segment_id in segment_ids:
        for partition in range(partitions):
            pipeline.zcard(members_key(partition, tenant, segment_id))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            counts = await pipeline.execute()
    except (RedisError, OSError, TimeoutError):
        return dict.fromkeys(segment_ids)
    return {
        segment_id: sum(counts[at * partitions : (at + 1) * partitions]) for at, segment_id in enumerate(segment_ids)
    }
