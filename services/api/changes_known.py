"""Until when the archived membership changes are all there are: held against Redis and Kafka before they are asked."""

import asyncio
import time

from redis.asyncio import Redis

from services.api import membership_store
from services.api.errors import Unavailable
from services.api.events_log import EventsLog
from services.api.history import History, answered
from shared.contracts.redis_keys import published_key, published_of
from shared.contracts.topics import MEMBERSHIP_CHANGES
from shared.history.schema import CHANGES
from shared.history.snapshot import Snapshot

PATIENCE_S = 5.0
"""An exporter at work archives a change well within it."""
_LOOK_EVERY_S = 0.1


class ChangesKnown:
    """Asked with an instant of the past; of one api process."""

    def __init__(self, redis: Redis, history: History, bootstrap_servers: str, partitions: int) -> None:
        """Connects to nothing yet."""
        self._redis, self._history, self._partitions = redis, history, partitions
        self._log = EventsLog(bootstrap_servers, partitions, MEMBERSHIP_CHANGES)

    async def until(self, at_us: int) -> Snapshot:
        """Wait until all turns at or before an instant (microseconds since 1970) are archived; what is there then.

        Raises Unavailable: the evaluator or the exporter has not come so far, or does not say.
        """
        if await self._settled_us() <= at_us:
            raise Unavailable("the evaluator has not come to this instant yet")
        # read after that: the changes until then lie below these ends
        log = await asyncio.to_thread(self._log.read)
        if log is None:
            raise Unavailable("Kafka does not say how many changes there are")
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            with answered("changes known"):
                snapshot = await self._history.snapshot(log.epoch, CHANGES)
            if all(snapshot.next_offsets.get(p, 0) >= end for p, end in log.end_offsets.items()):
                return snapshot
            if time.monotonic() > deadline_s:
                raise Unavailable("the exporter has not archived the changes until this instant yet")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _settled_us(self) -> int:
        """All turns before this instant are sent."""
        pipeline = self._redis.pipeline(transaction=False)
        for partition in range(self._partitions):
            pipeline.get(published_key(partition))
        found = await membership_store.answered(pipeline.execute())
        return min(published_of(value).settled_us for value in found)
