"""An edited segment is computed while it serves: each user goes from the old answer to the new one, once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from shared.contracts import redis_keys
from shared.contracts.keys import partition_of, user_key
from tests.support.evaluators import EvaluatorProcess
from tests.support.stream import Stream, is_member
from tests.support.truth import Truth

WATCHED = [f"user-{number}" for number in range(1_000)]
OLD = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "cart_add", "operator": "gte", "value": 2}]}
NEW = {
    "logic": "AND",
    "conditions": [
        {"type": "event_count", "event_type": "order_placed", "operator": "gte", "value": 1, "window_days": 2},
        {"type": "event_count", "event_type": "signup", "operator": "lt", "value": 2},
    ],
}


@contextmanager
def watching(stream: Stream) -> Iterator[list[list[bool]]]:
    """What every look said of the watched users, until the end."""
    places = [(partition_of(user_key(stream.tenant, user), stream.partitions), user) for user in WATCHED]
    keys = [redis_keys.user_key(partition, stream.tenant, user) for partition, user in places]
    looks: list[list[bool]] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            now_us, values = time.time_ns() // 1000, stream.redis.mget(keys)
            records = [redis_keys.unpack_records(value) if value else () for value in values]
            looks.append([any(is_member(r, now_us) for r in each if r.segment_id == 1) for each in records])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        is_over.set()
        thread.join()


@pytest.mark.usefixtures("exporter")
def test_nobody_flickers(stream: Stream, new_worker: Callable[..., EvaluatorProcess]) -> None:
    new_worker().await_ready()
    stream.activate({1: OLD})
    stream.send_many(6_000, len(WATCHED), seed=1)
    stream.await_committed()
    before, after = (Truth(stream, {1: definition}).memberships(stream.clock())[1] for definition in (OLD, NEW))
    assert before - after
    assert after - before
    with watching(stream) as looks:
        computing = stream.wish(1, serving=OLD, computing=NEW, computing_version=2)
        for number in range(4_000):  # of others: the partitions are at work all the while
            stream.send(f"other-{number % 500}", "order_placed")
        stream.await_reports("ready", {computing})
        stream.await_reports("switched", {stream.wish(1, serving=NEW, version=2)})
    assert len(looks) > 20
    for user, said in zip(WATCHED, zip(*looks, strict=True), strict=True):
        turns = sum(one != other for one, other in pairwise(said))
        assert (said[0], said[-1]) == (user in before, user in after), user
        assert turns == (user in before) ^ (user in after), user
