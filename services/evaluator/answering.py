"""Hears the questions about the users of one partition, and answers them from its owner's state."""

import asyncio
import logging
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.evaluator.answers import answer_to
from services.evaluator.owner import Owner
from shared.contracts.question import (
    ANSWER_EXPIRES_S,
    Answer,
    Question,
    Refused,
    decode_question,
    encode_answer,
)
from shared.contracts.redis_keys import answer_key, questions_channel
from shared.domain.errors import InvalidEvent
from shared.runtime.metrics import QUESTIONS

log = logging.getLogger(__name__)

_PAUSE_S = 0.5
_SILENCE_S = 5.0
"""After so long without a message the connection is tried; after as long again it is given up."""


class Answering:
    """Answers until cancelled, one question after another; who asks waits two seconds and then gives up.

    Nothing rests on it: a question that is lost is asked again by whoever wants to know. So an outage of Redis is
    waited out, and a question that cannot be answered is dropped and counted.
    """

    def __init__(self, redis: Redis, owner: Owner) -> None:
        self._redis, self._owner = redis, owner
        self._partition = owner.table.partition
        self._is_told = False

    async def run(self) -> None:
        """Hear and answer."""
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(questions_channel(self._partition))
                    await self._hear(channel)
            except (RedisError, OSError) as error:
                if not self._is_told:
                    log.warning("partition %d: questions cannot be heard: %s; waiting", self._partition, error)
                self._is_told = True
            await asyncio.sleep(_PAUSE_S)  # Redis does not tell when it is back

    async def _hear(self, channel: Any) -> None:
        is_tried = False
        while True:
            message = await channel.get_message(timeout=_SILENCE_S)
            if message is None:
                if is_tried:
                    raise ConnectionError(f"nothing was heard for {2 * _SILENCE_S:g} s")
                await channel.ping()
            elif message["type"] == "message":
                QUESTIONS.labels(await self._take(message["data"])).inc()
            self._is_told = self._is_told and message is None
            is_tried = message is None

    async def _take(self, value: bytes) -> str:
        """Answer one question; the outcome, as it is counted."""
        try:
            question = decode_question(value)
            answer = self._answer(question)
        except (msgspec.MsgspecError, UnicodeDecodeError, InvalidEvent) as error:
            log.warning("partition %d: a question cannot be read: %s", self._partition, error)
            return "dropped"
        except Exception:  # a question must not end the work on events
            log.exception("partition %d: a question cannot be answered", self._partition)
            return "dropped"
        key = answer_key(self._partition, question.id)
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.rpush(key, encode_answer(answer))
                pipeline.expire(key, ANSWER_EXPIRES_S)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("partition %d: an answer cannot be given: %s", self._partition, error)
            return "dropped"
        return "refused" if isinstance(answer.said, Refused) else "answered"

    def _answer(self, question: Question) -> Answer:
        table = self._owner.table
        if self._owner.is_rebuilding:
            return Answer(table.record.epoch, Refused("memberships are being rebuilt"))
        return Answer(table.record.epoch, answer_to(question.ask, table))
