"""Questions to a partition's owner over real Redis: answered by the one who owns it now, or refused in time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from services.api.errors import Unavailable
from services.api.questions import MAX_UNDER_WAY, WAIT_S, Questions
from services.evaluator import answering
from services.evaluator.answering import Answering
from shared.contracts import redis_keys as keys
from shared.contracts.question import ANSWER_EXPIRES_S, Explained, Question, Try, encode_question
from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics
from shared.runtime.metrics import EVALUATOR
from tests.integration.evaluator.support import PARTITION, PARTITIONS, SEGMENT, Running, bought, owning, until, wish
from tests.support.tcp_proxy import TcpProxy

NOISE_S = 1.0
"""What a busy machine may add."""
EVENT = b'{"tenant":1,"user_id":"ann","event_type":"buy"}'


@pytest.fixture
async def owner(kafka_bootstrap_servers: str, redis_url: str) -> AsyncIterator[Running]:
    """An owner whose segment is of those who bought in the last 1000 s; Ann did, at second 1000."""
    ensure_topics(kafka_bootstrap_servers, declare(PARTITIONS))
    async with owning(kafka_bootstrap_servers, redis_url) as running:
        await running.follow(wish("gte", window_seconds=1000))
        await running.fold(0, 1, bought(0, 1000))
        await running.owner.flush()
        yield running


@pytest.fixture
async def questions(redis_url: str) -> AsyncIterator[Questions]:
    asking = Questions(redis_url, PARTITIONS)
    yield asking
    await asking.close()


@contextlib.asynccontextmanager
async def answered_by(running: Running, redis: Any = None) -> AsyncIterator[None]:
    """The owner answers; returns when it hears."""
    already = (await running.redis.pubsub_numsub(keys.questions_channel(PARTITION)))[0][1]
    task = asyncio.create_task(Answering(redis or running.redis, running.owner).run())

    async def hears() -> bool:
        return bool((await running.redis.pubsub_numsub(keys.questions_channel(PARTITION)))[0][1] > already)

    await until(hears)
    yield
    while not task.done():  # the client of Redis may swallow a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


async def why(questions: Questions) -> Explained:
    return await questions.explain(1, "ann", SEGMENT, evidence=True)


async def refused(questions: Questions) -> str:
    """Why a question is refused."""
    with pytest.raises(Unavailable) as refusal:
        await why(questions)
    assert refusal.value.headers["Retry-After"] == "1"
    return str(refusal.value.body["detail"])


def counted(outcome: str) -> float:
    return EVALUATOR.get_sample_value("shoal_evaluator_questions_total", {"outcome": outcome}) or 0


async def test_the_owner_answers_from_its_state_and_nothing_changes(owner: Running, questions: Questions) -> None:
    async with answered_by(owner):
        before, answered = await owner.redis.get(keys.head_key(PARTITION)), counted("answered")
        said = await why(questions)
        assert (said.member, said.as_of, said.next_change_at) == (True, 1_000_000_000, 2_000_000_000)
        tried = await questions.try_event(1, "ann", EVENT)
        assert (tried.counted, tried.entered, tried.exited, tried.unchanged) == (True, [], [], 1)
        new = await questions.try_event(1, "ann", EVENT.replace(b"ann", b"new"))
        assert new.entered == [SEGMENT]
        assert await why(questions) == said
        assert await owner.redis.get(keys.head_key(PARTITION)) == before
        assert len(await owner.changes()) == 1
        assert counted("answered") == answered + 4


async def test_an_answer_that_nobody_takes_is_gone_soon(owner: Running) -> None:
    async with answered_by(owner):
        question = Question("0af3", Try(EVENT))
        await owner.redis.publish(keys.questions_channel(PARTITION), encode_question(question))

        async def is_there() -> bool:
            return bool(await owner.redis.exists(keys.answer_key(PARTITION, "0af3")))

        await until(is_there)
        assert 0 < await owner.redis.ttl(keys.answer_key(PARTITION, "0af3")) <= ANSWER_EXPIRES_S


async def test_without_an_owner_a_question_is_refused_at_once(owner: Running, questions: Questions) -> None:
    began_s = time.monotonic()
    assert "nobody owns" in await refused(questions)
    async with answered_by(owner):
        await why(questions)
    assert "nobody owns" in await refused(questions)
    assert time.monotonic() - began_s < WAIT_S


async def test_only_the_answer_of_the_present_owner_is_taken(
    owner: Running, questions: Questions, kafka_bootstrap_servers: str, redis_url: str
) -> None:
    """The replaced owner hears the questions too, and first; its partition stands where it was."""
    async with answered_by(owner), owning(kafka_bootstrap_servers, redis_url) as successor:
        began_s = time.monotonic()
        assert "in time" in await refused(questions), "the successor has the head, and does not hear yet"
        assert WAIT_S - 0.1 <= time.monotonic() - began_s < WAIT_S + NOISE_S
        await successor.fold(1, 2, bought(1, 1500))
        async with answered_by(successor):
            for _ in range(50):
                assert (await why(questions)).as_of == 1_500_000_000


async def test_while_memberships_are_rebuilt_nothing_is_answered(owner: Running, questions: Questions) -> None:
    async with answered_by(owner):
        owner.owner.table.record.rebuild_until = 99
        refusals = counted("refused")
        assert "rebuilt" in await refused(questions)
        assert counted("refused") == refusals + 1
        owner.owner.table.record.rebuild_until = 0
        for lost in (keys.head_key(PARTITION), keys.rebuilding_key(PARTITION)):
            value = await owner.redis.get(lost)
            await (owner.redis.delete(lost) if value else owner.redis.set(lost, "1"))
            assert "rebuilt" in await refused(questions)
            await (owner.redis.set(lost, value) if value else owner.redis.delete(lost))
        await why(questions)


async def test_what_is_no_question_is_dropped_and_the_next_is_answered(owner: Running, questions: Questions) -> None:
    async with answered_by(owner):
        dropped = counted("dropped")
        channel = keys.questions_channel(PARTITION)
        poison = [b"", b"\xff", encode_question(Question("a", Try(b"nonsense"))), b"\x83\xa2id\xa1\xff"]
        for value in poison:
            await owner.redis.publish(channel, value)
        await why(questions)
        assert counted("dropped") == dropped + len(poison)


async def test_a_defect_costs_its_answer_only(
    owner: Running, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with answered_by(owner):
        with monkeypatch.context() as patched:
            patched.setattr(answering, "answer_to", broken)
            assert "in time" in await refused(questions)
        await why(questions)


async def test_too_many_questions_at_once_are_refused(owner: Running, questions: Questions) -> None:
    """Nobody answers them, and their channel has a listener, so that all wait."""
    async with owner.redis.pubsub() as deaf:
        await deaf.subscribe(keys.questions_channel(PARTITION))
        asked = [asyncio.create_task(refused(questions)) for _ in range(MAX_UNDER_WAY + 3)]
        said = await asyncio.gather(*asked)
    assert sum("too many" in reason for reason in said) == 3
    assert sum("in time" in reason for reason in said) == MAX_UNDER_WAY


@pytest.mark.parametrize("fault", ["lose_connections", "drop", "set_stall"])
async def test_questions_are_heard_again_after_an_outage_of_redis(
    owner: Running, questions: Questions, redis_url: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(answering, "_SILENCE_S", 0.2)
    address = urlsplit(redis_url)
    with TcpProxy(str(address.hostname), int(address.port or 0)) as proxy:
        through_proxy = redis_url.replace(f":{address.port}", f":{proxy.port}")
        redis: Any = Redis.from_url(through_proxy, socket_timeout=1)
        async with answered_by(owner, redis):
            await why(questions)
            getattr(proxy, fault)()
            with contextlib.suppress(Unavailable):  # who reconnects quickly hears it
                await why(questions)
            if fault == "set_stall":
                proxy.set_pass()

            async def is_answered() -> bool:
                try:
                    return (await why(questions)).member
                except Unavailable:
                    return False

            await until(is_answered)
        await redis.aclose()
