"""Asking the owner of a user's partition, over Redis: what only the user's state can tell."""

import asyncio
import logging
import secrets
from typing import TypeVar, cast

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.api.errors import Unavailable
from shared.contracts.keys import partition_of, user_key
from shared.contracts.question import (
    Answer,
    Explain,
    Explained,
    Question,
    Refused,
    Tried,
    Try,
    decode_answer,
    encode_question,
)
from shared.contracts.redis_keys import answer_key, epoch_of, head_key, questions_channel, rebuilding_key

WAIT_S = 2.0
"""So long an owner may take, from the question to its answer."""
MAX_UNDER_WAY = 32
"""Questions of this process that wait for an answer; each holds a connection to Redis, and work of an owner."""
_REDIS_TIMEOUT_S = 0.8

_log = logging.getLogger(__name__)

Said = TypeVar("Said", Explained, Tried)


class Questions:
    """Asks, and takes an answer only of whoever owns the partition when it is read."""

    def __init__(self, redis_url: str, partitions: int) -> None:
        self._partitions = partitions
        # its own connections: an answer is waited for longer than any other command may take
        self._redis = Redis.from_url(
            redis_url,
            socket_timeout=WAIT_S + _REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )
        self._under_way = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def explain(self, tenant: int, user_id: str, segment_id: int, *, evidence: bool) -> Explained:
        """Why the user is in the segment, or not. Raises Unavailable."""
        partition = partition_of(user_key(tenant, user_id), self._partitions)
        return await self._ask(partition, Explain(tenant, user_id, segment_id, evidence), Explained)

    async def try_event(self, tenant: int, user_id: str, value: bytes) -> Tried:
        """Which of the user's memberships an event would turn; `value` as in the topic. Raises Unavailable."""
        partition = partition_of(user_key(tenant, user_id), self._partitions)
        return await self._ask(partition, Try(value), Tried)

    async def _ask(self, partition: int, ask: Explain | Try, kind: type[Said]) -> Said:
        if self._under_way >= MAX_UNDER_WAY:
            raise Unavailable("too many questions are under way")
        self._under_way += 1
        try:
            async with asyncio.timeout(WAIT_S + _REDIS_TIMEOUT_S):
                said = (await self._answer(partition, ask)).said
        except (RedisError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("partition %d: a question has no answer: %s", partition, str(error) or type(error).__name__)
            raise Unavailable("the membership store does not answer") from error
        finally:
            self._under_way -= 1
        if isinstance(said, kind):
            return said
        raise Unavailable(said.reason if isinstance(said, Refused) else "the answer is of another kind")

    async def _answer(self, partition: int, ask: Explain | Try) -> Answer:
        question = Question(secrets.token_hex(16), ask)
        if not await self._redis.publish(questions_channel(partition), encode_question(question)):
            raise Unavailable("nobody owns the user's partition just now")
        key, loop = answer_key(partition, question.id), asyncio.get_running_loop()
        until_s = loop.time() + WAIT_S
        while (left_s := until_s - loop.time()) > 0 and (popped := await self._redis.blpop([key], timeout=left_s)):
            answer = decode_answer(cast(bytes, popped[1]))
            found = await self._redis.mget(head_key(partition), rebuilding_key(partition))
            head, rebuilding = cast("list[bytes | None]", found)
            if head is None or rebuilding is not None:
                raise Unavailable("memberships are being rebuilt")
            # Another epoch: an owner that was replaced and does not know it yet. The present one was asked too.
            if epoch_of(head) == answer.epoch:
                return answer
        raise Unavailable("the owner of the user's partition does not answer in time")
