"""How many members segments have: the sum over the partitions of the membership store."""

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.contracts.redis_keys import head_key, members_key, rebuilding_key

_TIMEOUT_S = 0.9


async def count_members(
    redis: Redis, partitions: int, tenant: int, segment_ids: Sequence[int]
) -> dict[int, int | None]:
    """Members by segment id; None for all while the store does not answer within a second, or is not whole."""
    if not segment_ids:
        return {}
    pipeline = redis.pipeline(transaction=False)
    for segment_id in segment_ids:
        for partition in range(partitions):
            pipeline.zcard(members_key(partition, tenant, segment_id))
    # behind the counts: those of a store that has just lost everything are none
    for partition in range(partitions):
        pipeline.mget(head_key(partition), rebuilding_key(partition))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answers = await pipeline.execute()
    except (RedisError, OSError, TimeoutError):
        return dict.fromkeys(segment_ids)
    counts, states = answers[:-partitions], answers[-partitions:]
    if any(head is None or rebuilding is not None for head, rebuilding in states):
        return dict.fromkeys(segment_ids)
    return {
        segment_id: sum(counts[at * partitions : (at + 1) * partitions]) for at, segment_id in enumerate(segment_ids)
    }
