"""One partition's writes to real Redis: fenced by the epoch, losses noticed, member sets in step, nothing goes back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from services.evaluator.changelog import Fenced
from services.evaluator.membership_writer import USERS_A_SCRIPT, Lost, MembershipWriter, redis_change
from services.evaluator.state_table import StateTable
from services.evaluator.user import User
from shared.contracts import redis_keys as keys
from shared.contracts.keys import user_key
from shared.domain.user_state import NEVER, Membership

PARTITION, TENANT, SEGMENT = 3, 1, 7
VALUE = keys.user_key(PARTITION, TENANT, "ann")
MEMBERS = keys.members_key(PARTITION, TENANT, SEGMENT)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    connected = Redis.from_url(redis_url)
    yield connected
    await connected.aclose()


def _owner(redis: "Redis", epoch: int) -> tuple[MembershipWriter, StateTable]:
    table = StateTable(PARTITION)
    table.record.epoch, table.record.log_epoch, table.record.clock = epoch, "log", 1_000
    return MembershipWriter(redis, table, lambda _: None), table


def _ann(table: StateTable, *, member: bool, flags: int = 0) -> User:
    key = user_key(TENANT, "ann")
    user = table.user(key) or table.add_user(key, TENANT, "ann")
    user.state.memberships[SEGMENT] = Membership(1, member, 900 if member else 0, NEVER, flags, 0, 1, NEVER)
    user.memberships_changed()
    return user


async def _texts(redis: Any, *names: bytes) -> list[bytes | None]:
    return list(await redis.mget(*names))


async def test_member_sets_follow_the_packed_values(redis: Any) -> None:
    writer, table = _owner(redis, 5)
    await writer.take_over()
    await writer.write([redis_change(_ann(table, member=True))], 10)
    assert list(keys.unpack_records(await redis.get(VALUE))) == [keys.MembershipRecord(SEGMENT, 900, NEVER, 0)]
    assert await redis.zrange(MEMBERS, 0, -1) == [b"ann"]
    coming = _ann(table, member=False, flags=keys.COMING)
    await writer.write([redis_change(coming)], 11)
    assert len(await redis.get(VALUE)) == keys.RECORD_BYTES
    assert await redis.exists(MEMBERS) == 0
    await writer.write([redis_change(_ann(table, member=False))], 12)
    assert await redis.exists(VALUE) == 0


async def test_an_owner_of_a_lower_epoch_writes_nothing(redis: Any) -> None:
    old, old_table = _owner(redis, 5)
    await old.take_over()
    new, new_table = _owner(redis, 9)
    await new.take_over()
    await new.write([redis_change(_ann(new_table, member=True))], 20)
    before = await _texts(redis, keys.head_key(PARTITION), VALUE, keys.applied_key(PARTITION))
    with pytest.raises(Fenced, match="another owner works"):
        await old.write([redis_change(_ann(old_table, member=False))], 30)
    with pytest.raises(Fenced):
        await old.take_over()
    assert await _texts(redis, keys.head_key(PARTITION), VALUE, keys.applied_key(PARTITION)) == before


async def test_lost_data_is_noticed_and_written_anew_without_what_the_state_does_not_know(redis: Any) -> None:
    writer, table = _owner(redis, 5)
    await writer.take_over()
    await writer.write([redis_change(_ann(table, member=True))], 10)
    await redis.flushall()
    await redis.set(keys.user_key(PARTITION, TENANT, "nobody"), b"\0" * keys.RECORD_BYTES)
    neighbour = keys.user_key(PARTITION + 10, TENANT, "ann")
    await redis.set(neighbour, b"theirs")
    with pytest.raises(Lost):
        await writer.write([], 10)
    await writer.rebuild([_ann(table, member=True)], 10)
    assert await redis.zrange(MEMBERS, 0, -1) == [b"ann"]
    assert await redis.exists(keys.user_key(PARTITION, TENANT, "nobody")) == 0
    assert await redis.get(neighbour) == b"theirs"
    assert await redis.exists(keys.rebuilding_key(PARTITION)) == 0
    await writer.write([], 11)


async def test_an_older_copy_of_the_data_is_noticed(redis: Any) -> None:
    """Redis came back with what it had some writes ago."""
    writer, table = _owner(redis, 5)
    await writer.take_over()
    await writer.write([redis_change(_ann(table, member=True))], 10)
    older = await redis.get(keys.head_key(PARTITION))
    await writer.write([], 11)
    await writer.write([], 12)
    await redis.set(keys.head_key(PARTITION), older)
    with pytest.raises(Lost):
        await writer.write([], 13)


async def test_a_new_owner_knows_how_new_the_data_must_be(redis: Any) -> None:
    """The partition's record tells which script Redis had; older data is as good as lost, and marked in one step."""
    first, table = _owner(redis, 5)
    await first.take_over()
    await first.write([redis_change(_ann(table, member=True))], 10)
    older = await redis.get(keys.head_key(PARTITION))
    await first.write([], 11)
    second, record = _owner(redis, 9)
    record.record.redis_epoch, record.record.redis_n = table.record.redis_epoch, table.record.redis_n
    await redis.set(keys.head_key(PARTITION), older)
    assert not await second.take_over()
    assert await redis.exists(keys.rebuilding_key(PARTITION)) == 1
    third, _ = _owner(redis, 12)
    assert not await third.take_over(), "a rebuild that its owner did not finish is begun again by the next"
    await third.rebuild([], 11)
    assert await redis.exists(keys.rebuilding_key(PARTITION), VALUE) == 0
    fourth, fresh = _owner(redis, 15)
    fresh.record.redis_epoch, fresh.record.redis_n = 12, 1
    assert await fourth.take_over()


async def test_a_changelog_that_began_anew_takes_data_of_higher_epochs(redis: Any) -> None:
    before, _ = _owner(redis, 500)
    await before.take_over()
    writer, _ = _owner(redis, 3)
    with pytest.raises(Fenced):
        await writer.take_over()
    assert not await writer.take_over("force")
    await writer.rebuild([], 0)
    with pytest.raises(Lost):
        await before.write([], 1)


async def test_the_mark_of_a_rebuild_stays_while_the_log_must_be_read_further(redis: Any) -> None:
    writer, table = _owner(redis, 5)
    table.record.rebuild_until = 100
    assert not await writer.take_over("force")
    await writer.write([redis_change(_ann(table, member=True))], 10)
    await writer.rebuild([_ann(table, member=True)], 10)
    assert await redis.exists(keys.rebuilding_key(PARTITION)) == 1
    table.record.rebuild_until = 0
    await writer.rebuild([_ann(table, member=True)], 100)
    assert await redis.exists(keys.rebuilding_key(PARTITION)) == 0


async def test_an_offset_is_applied_when_all_that_it_led_to_is_written(redis: Any) -> None:
    writer, table = _owner(redis, 5)
    await writer.take_over()
    packed = redis_change(_ann(table, member=True))[2]
    users = [f"user-{number}" for number in range(20 * USERS_A_SCRIPT)]
    changes = [(b"%d" % TENANT, user.encode(), packed) for user in users]
    last = keys.user_key(PARTITION, TENANT, users[-1])
    writing = asyncio.create_task(writer.write(changes, 10))
    looks = 0
    while not writing.done():
        applied, value = await _texts(redis, keys.applied_key(PARTITION), last)
        assert applied != b"log 10" or value == packed
        looks += 1
    assert looks > 5
    assert await redis.get(keys.applied_key(PARTITION)) == b"log 10"


async def test_the_clock_and_the_applied_offset_never_go_back(redis: Any) -> None:
    writer, table = _owner(redis, 5)
    await writer.take_over()
    await writer.write([], 10)
    table.record.clock = 500
    await writer.write([], 4)
    clock, applied = await _texts(redis, keys.clock_key(PARTITION), keys.applied_key(PARTITION))
    assert (clock, applied) == (b"1000", b"log 10")


async def test_what_is_announced_stands_in_redis_with_the_next_script_only(redis: Any) -> None:
    writer, table = _owner(redis, 5)
    await writer.take_over()
    await writer.write([redis_change(_ann(table, member=True))], 10)
    assert await redis.get(keys.published_key(PARTITION)) is None
    writer.announce(900)
    await writer.write([], 11)
    published = keys.published_of(await redis.get(keys.published_key(PARTITION)))
    assert published == keys.Published(5, 1, 900)
    assert not published.covers(await redis.get(keys.head_key(PARTITION)))
    assert published.covers(b"5 1")


@pytest.mark.parametrize("how", ["check", "lost"])
async def test_what_was_said_to_be_sent_is_forgotten_when_scripts_are_numbered_anew(redis: Any, how: Any) -> None:
    """A number of the earlier numbering would cover scripts whose changes are not sent."""
    writer, _ = _owner(redis, 5)
    await writer.take_over()
    for _ in range(3):
        await writer.write([], 10)
    writer.announce(900)
    await writer.write([], 11)
    published = keys.published_key(PARTITION)
    assert keys.published_of(await redis.get(published)) == (5, 3, 900)
    await writer.take_over(how)
    await writer.write([], 12)
    assert await redis.exists(published) == 0
