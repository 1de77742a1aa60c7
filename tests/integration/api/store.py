"""A membership store written as the evaluator writes it, and segments that have members."""

import asyncio

import redis

from services.api.database import Database
from shared.contracts.keys import partition_of
from shared.contracts.keys import user_key as message_key
from shared.contracts.redis_keys import COMING, MembershipRecord, members_key, pack_records, user_key
from tests.support.served_api import PARTITIONS, ServedApi


class Store:
    """Writes the membership store."""

    def __init__(self, redis_url: str, tenant: int) -> None:
        self.redis = redis.Redis.from_url(redis_url)
        self.tenant = tenant

    def partition(self, user_id: str) -> int:
        """Where a user is."""
        return partition_of(message_key(self.tenant, user_id), PARTITIONS)

    def user(self, user_id: str, *records: MembershipRecord) -> None:
        """Give a user these memberships, and the member sets the user."""
        partition = self.partition(user_id)
        self.redis.set(user_key(partition, self.tenant, user_id), pack_records(records))
        for record in records:
            if not record.flags & COMING:
                self.redis.zadd(members_key(partition, self.tenant, record.segment_id), {user_id: 0})


def live_segment(api: ServedApi) -> int:
    """A segment that has members: active, computed once."""
    segment_id: int = api.segment()["id"]

    async def change() -> None:
        database = Database(api.wiring.settings.database_url)
        async with database.begin_for_all() as work:
            await work.segments.change(segment_id, active_version=1, status="computed")
        await database.close()

    asyncio.run(change())
    api.wiring.live.forget(api.get(f"/api/segments/{segment_id}/")["tenant"])
    return segment_id
