"""Writes one partition's memberships to Redis: fenced by the epoch, each script numbered, losses noticed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgpack
from redis.asyncio import Redis
from redis.exceptions import (
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from services.evaluator.changelog import Fenced
from services.evaluator.state_table import StateTable
from services.evaluator.transition import packed
from services.evaluator.user import User
from shared.contracts import redis_keys as keys

log = logging.getLogger(__name__)

SCRIPT = (Path(__file__).parent / "membership_writer.lua").read_text()
USERS_A_SCRIPT = 200
"""A script stops all others while it runs; so many changes take about a millisecond."""
_KEYS = (keys.head_key, keys.clock_key, keys.applied_key, keys.rebuilding_key, keys.published_key)
NOTHING_YET = 0
"""The applied offset of all scripts of a publication but the last: it raises nothing."""

# Takes the partition for an epoch. ARGV: epoch; epoch and number of the last script known to be in the data; how:
# 'check' what is there, take it for 'lost', or for lost whatever epoch it has ('force'). Answers 'fenced', 'lost'
# (then the mark is set, in the same step) or 'ok'; and the head. Scripts are numbered anew from here, so what was
# announced holds for none of the new ones. KEYS: head, rebuilding, published.
TAKE = """
local head = redis.call('GET', KEYS[1])
local epoch, n = string.match(head or '', '^(%d+) (%d+)$')
epoch, n = tonumber(epoch or -1), tonumber(n or -1)
if epoch > tonumber(ARGV[1]) and ARGV[4] ~= 'force' then return {'fenced', head} end
local old = epoch < tonumber(ARGV[2]) or (epoch == tonumber(ARGV[2]) and n < tonumber(ARGV[3]))
if old or ARGV[4] ~= 'check' then redis.call('SET', KEYS[2], '1') end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[1], ARGV[1] .. ' 0')
return {redis.call('EXISTS', KEYS[2]) == 1 and 'lost' or 'ok', head or ''}
"""

TakeOver = Literal["check", "lost", "force"]

RedisChange = tuple[bytes, bytes, bytes]
"""Tenant (decimal), user id, packed value."""

PASSING = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, OSError)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class Lost(Exception):  # noqa: N818 - it names the thing
    """Rebuild: Redis does not hold what we wrote last."""


class MembershipWriter:
    """The only writer of a partition's keys. Every call waits, however long, while Redis is away."""

    def __init__(self, redis: Redis, table: StateTable, on_trouble: Callable[[str | None], None]) -> None:
        """`on_trouble` hears why Redis cannot be written, and None when it can again."""
        self._redis, self._table, self._on_trouble = redis, table, on_trouble
        partition = table.partition
        self._keys = [key(partition) for key in _KEYS]
        self._prefixes = [keys.user_prefix(partition), keys.members_prefix(partition)]
        self._publish = redis.register_script(SCRIPT)
        self._take = redis.register_script(TAKE)
        self._n = 0
        self._published = ""

    def announce(self, settled_us: int) -> None:
        """The changes of all that was written so far are sent, those of turns before this instant among them.

        Readers of Redis hear of it with the next script.
        """
        self._published = f"{self._table.record.epoch} {self._n} {settled_us}"

    async def take_over(self, how: TakeOver = "check") -> bool:
        """Announce our epoch; False when Redis does not hold what was written last, or `how` says so.

        The partition is then marked as being rebuilt, until `rebuild`. Raises Fenced, unless forced: epochs begin
        anew with a changelog that was lost.
        """
        record = self._table.record
        args = [record.epoch, record.redis_epoch, record.redis_n, how]
        head_key, _, _, *others = self._keys
        answer, head = await self._persist(lambda: self._take(keys=[head_key, *others], args=args))
        if answer == b"fenced":
            raise self._fenced(head)
        self._n, self._published = 0, ""
        if answer == b"ok":
            self._note_head()
        return bool(answer == b"ok")

    async def write(self, changes: Sequence[RedisChange], next_offset: int) -> None:
        """The values of some users, the clock and the applied offset. Raises Fenced, Lost."""
        *others, last = [changes[i : i + USERS_A_SCRIPT] for i in range(0, len(changes), USERS_A_SCRIPT)] or [[]]
        for some in others:
            await self._write([part for change in some for part in change], NOTHING_YET)
        await self._write([part for change in last for part in change], next_offset)

    async def rebuild(self, users: Iterable[User], next_offset: int) -> None:
        """Rewrite everything of the partition; lookups answer 503 meanwhile. Raises Fenced, Lost.

        The mark stays while the partition's record says that the log must be read further first.
        """
        await self.take_over("lost")
        await self._persist(self._delete_all)
        batch: list[RedisChange] = []
        for user in users:
            batch.append(redis_change(user))
            if len(batch) == USERS_A_SCRIPT:
                await self.write(batch, NOTHING_YET)
                batch = []
        await self.write(batch, next_offset)
        if not self._table.record.rebuild_until:
            await self._persist(lambda: self._redis.delete(self._keys[3]))

    async def _write(self, changes: list[bytes], next_offset: int) -> None:
        record = self._table.record
        self._n += 1
        args: list[Any] = [record.epoch, self._n, record.clock, f"{record.log_epoch} {next_offset}", *self._prefixes]
        # Lua's unpacker knows no `bin` type: everything travels as strings
        payload = msgpack.packb(changes, use_bin_type=False)
        answer = await self._persist(lambda: self._publish(keys=self._keys, args=[*args, payload, self._published]))
        if answer[0] == b"ok":
            self._note_head()
            return
        if answer[0] == b"fenced":
            raise self._fenced(answer[1])
        raise Lost(f"partition {self._table.partition}: the head is {answer[0].decode()} ({answer[1].decode()!r})")

    def _note_head(self) -> None:
        """Everything published so far is in the data of this head or a later one."""
        self._table.record.redis_epoch, self._table.record.redis_n = self._table.record.epoch, self._n

    async def _delete_all(self) -> None:
        """Remove the values and member sets of the partition, known or not."""
        pattern, found = keys.data_pattern(self._table.partition), []
        async for key in self._redis.scan_iter(match=pattern, count=1000):
            found.append(key)
            if len(found) == 1000:
                await self._redis.unlink(*found)
                found = []
        if found:
            await self._redis.unlink(*found)

    async def _persist(self, call: Callable[[], Awaitable[Any]]) -> Any:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                answer = await call()
            except PASSING as error:
                self._on_trouble(f"Redis: {error}")
                await asyncio.sleep(pause_s)  # between two attempts; Redis does not tell when it is back
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                self._on_trouble(None)
                return answer

    def _fenced(self, head: bytes) -> Fenced:
        epoch, partition = self._table.record.epoch, self._table.partition
        return Fenced(f"partition {partition}: Redis has epoch {head.decode()!r}, ours is {epoch}: another owner works")


def redis_change(user: User) -> RedisChange:
    """What the script needs to bring a user's value and member sets up to date."""
    return b"%d" % user.tenant, user.user_id.encode(), packed(user)


async def refuse_unfit(redis: Redis) -> str | None:
    """Why this Redis must not be used: one that drops keys when memory runs out would answer wrongly."""
    config = cast("dict[str, str]", await redis.config_get("maxmemory-policy"))
    policy = config.get("maxmemory-policy", "noeviction")
    return None if policy == "noeviction" else f"Redis: maxmemory-policy is {policy}, it must be noeviction"
