"""An attempt at the members of one instant: what it waits for, step by step, with Redis and the log in our hand."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from redis import Redis

from services.exporter.exports.attempt import Attempt
from services.exporter.exports.course import Course, ExportFailed
from services.exporter.exports.later_changes import ChangeLog
from services.exporter.exports.spool import Spool
from shared.contracts import redis_keys as keys
from shared.contracts.change import Change, encode_change
from shared.contracts.export_request import ExportRequest
from shared.contracts.keys import user_key
from shared.contracts.topics import MEMBERSHIP_CHANGES, declare
from shared.runtime.kafka import ensure_topics
from tests.support.evaluators import wait_for
from tests.support.stream import Stream, fresh_stream

NOW_US = 1_000_000
REQUEST = ExportRequest(1, 1, 1, 7, "csv")


class Clock:
    """It stands still."""

    def now_us(self) -> int:
        return NOW_US


@pytest.fixture
def stream(kafka_bootstrap_servers: str, redis_url: str) -> Iterator[Stream]:
    """Of one partition."""
    ensure_topics(kafka_bootstrap_servers, declare(1))
    with fresh_stream(kafka_bootstrap_servers, redis_url, 1) as stream:
        stream.end_offsets(MEMBERSHIP_CHANGES)  # asks until the partition has a leader
        yield stream


def enter(redis: Any, user_id: str, at: int) -> None:
    record = keys.MembershipRecord(REQUEST.segment_id, at, keys.NEVER, 0)
    redis.set(keys.user_key(0, REQUEST.tenant, user_id), keys.pack_records([record]))
    redis.zadd(keys.members_key(0, REQUEST.tenant, REQUEST.segment_id), {user_id: 0})


def send(stream: Stream, user_id: str, change: Any, at: int, began: int) -> None:
    told = Change("", REQUEST.tenant, REQUEST.segment_id, 1, user_id, change, at, "event", 1, 2, began)
    stream.producer.produce(MEMBERSHIP_CHANGES, encode_change(told), user_key(1, user_id), 0)
    stream.flush()


def say(stream: Stream, head: bytes, published: bytes) -> None:
    stream.redis.mset({keys.head_key(0): head, keys.published_key(0): published})


def rows(attempt: Attempt, spool: Spool) -> dict[str, int]:
    batches = list(attempt.rows(spool))
    users = [user_id for batch in batches for user_id in batch["user_id"].to_pylist()]
    return dict(
        zip(users, [at for batch in batches for at in batch["computed_at"].cast("int64").to_pylist()], strict=True)
    )


def test_it_waits_until_the_log_has_what_the_walk_has_seen(stream: Stream, redis_url: str) -> None:
    """Bob's exit is visible in Redis and not sent yet: he was a member at the instant."""
    enter(stream.redis, "ann", 500)
    say(stream, b"5 11", b"5 10 %d" % (NOW_US + 1))
    course, spool = Course(patience_s=60), Spool()
    with spool, closing(ChangeLog(stream.bootstrap, 1)) as changes, Redis.from_url(redis_url) as redis:
        attempt = Attempt(REQUEST, redis, changes, 1, Clock(), course)
        gathering = threading.Thread(target=attempt.gather, args=[spool])
        gathering.start()
        wait_for(lambda: course.row_count == 1, 30, "the walk has come by")
        gathering.join(0.5)
        assert gathering.is_alive(), "the changes of script 11 are not known to be sent"
        send(stream, "bob", "exited", NOW_US + 5, 400)
        send(stream, "cid", "entered", NOW_US + 5, NOW_US + 5)
        say(stream, b"5 12", b"5 11 %d" % (NOW_US + 9))
        gathering.join()
        assert rows(attempt, spool) == {"ann": 500, "bob": 400}


def test_its_instant_is_not_before_any_clock(stream: Stream, redis_url: str) -> None:
    stream.redis.set(keys.clock_key(0), b"%d" % (NOW_US + 70))
    with closing(ChangeLog(stream.bootstrap, 1)) as changes, Redis.from_url(redis_url) as redis:
        assert Attempt(REQUEST, redis, changes, 1, Clock(), Course(1)).as_of == NOW_US + 70


def test_it_fails_when_the_evaluator_does_not_come_to_the_instant(stream: Stream, redis_url: str) -> None:
    say(stream, b"5 11", b"5 11 %d" % NOW_US)
    with Spool() as spool, closing(ChangeLog(stream.bootstrap, 1)) as changes, Redis.from_url(redis_url) as redis:
        attempt = Attempt(REQUEST, redis, changes, 1, Clock(), Course(0.2))
        with pytest.raises(ExportFailed, match=r"partition 0: given up after 0\.2 s"):
            attempt.gather(spool)
