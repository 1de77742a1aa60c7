"""Walking through the members of a partition in real Redis, while what is there changes or is lost."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from services.exporter.exports import members
from services.exporter.exports.members import DataLost, PartitionMembers
from shared.contracts import redis_keys as keys

PARTITION, TENANT, SEGMENT = 3, 1, 7
AS_OF = 1_000
USERS = [f"user-{number:02d}" for number in range(20)]


@pytest.fixture
def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """With some members, in pages of five."""
    monkeypatch.setattr(members, "PAGE", 5)
    with Redis.from_url(redis_url) as connected:
        for user_id in USERS:
            enter(connected, user_id)
        say(connected)
        yield connected


def enter(redis: Any, user_id: str, at: int = 900) -> None:
    record = keys.MembershipRecord(SEGMENT, at, keys.NEVER, 0)
    redis.set(keys.user_key(PARTITION, TENANT, user_id), keys.pack_records([record]))
    redis.zadd(keys.members_key(PARTITION, TENANT, SEGMENT), {user_id: 0})


def leave(redis: Any, user_id: str) -> None:
    redis.delete(keys.user_key(PARTITION, TENANT, user_id))
    redis.zrem(keys.members_key(PARTITION, TENANT, SEGMENT), user_id)


def say(redis: Any, head: bytes = b"5 10", published: bytes = b"5 9 2000") -> None:
    redis.mset({keys.head_key(PARTITION): head, keys.published_key(PARTITION): published})


def walked(redis: Any, disturb: Callable[[], None]) -> list[str]:
    """The users of a walk that is disturbed after its first page."""
    part = PartitionMembers(redis, PARTITION, TENANT, SEGMENT)
    found = []
    for number, batch in enumerate(part.walk(AS_OF)):
        found += batch["user_id"].to_pylist()
        if number == 0:
            disturb()
    return found


def test_who_stays_comes_once_whoever_comes_and_goes(redis: Any) -> None:
    def move() -> None:
        for user_id in ("user-03", "user-12", "user-19"):
            leave(redis, user_id)
        for user_id in ("user-00a", "user-11a", "user-99"):
            enter(redis, user_id)
        enter(redis, "user-13", at=AS_OF + 1)
        say(redis, b"6 0")  # another owner, who finds all in order

    found = walked(redis, move)
    assert len(found) == len(set(found))
    assert set(USERS) - {"user-03", "user-12", "user-13", "user-19"} <= set(found)


@pytest.mark.parametrize(
    "lose",
    [
        lambda redis: redis.flushall(),
        lambda redis: redis.delete(keys.head_key(PARTITION)),
        lambda redis: redis.set(keys.rebuilding_key(PARTITION), "1"),
        lambda redis: say(redis, b"5 9"),
        lambda redis: say(redis, b"4 99"),
    ],
    ids=["all", "the head", "being rebuilt", "an older copy", "of an earlier owner"],
)
def test_what_was_lost_is_not_taken_for_nobody(redis: Any, lose: Callable[[Any], None]) -> None:
    with pytest.raises(DataLost):
        walked(redis, lambda: lose(redis))


def test_a_walk_waits_for_its_instant_and_its_end_for_what_it_saw(redis: Any) -> None:
    part = PartitionMembers(redis, PARTITION, TENANT, SEGMENT)
    assert "has not come to the instant" in str(part.lack(2_000))
    assert part.lack(1_999) is None
    list(part.walk(AS_OF))
    assert part.lack(AS_OF) is not None, "the changes of script 10 are not sent yet"
    say(redis, b"5 11", b"5 10 2000")
    assert part.lack(AS_OF) is None
    say(redis, b"6 1", b"6 0 2000")
    assert part.lack(AS_OF) is None
    say(redis, b"6 1", b"6 0 1000")
    assert part.lack(AS_OF) is not None, "the next owner's clock is behind"
    redis.set(keys.rebuilding_key(PARTITION), "1")
    assert "rebuilt" in str(part.lack(AS_OF))
    redis.delete(keys.rebuilding_key(PARTITION))
    say(redis, b"5 3", b"5 2 2000")
    with pytest.raises(DataLost):
        part.lack(AS_OF)
    part.begin()
    assert part.lack(AS_OF) is None


def test_the_clock_is_the_partitions(redis: Any) -> None:
    part = PartitionMembers(redis, PARTITION, TENANT, SEGMENT)
    assert part.clock() == 0
    redis.set(keys.clock_key(PARTITION), b"77")
    assert part.clock() == 77
