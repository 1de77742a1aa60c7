"""An edited definition keeps the state of what it still shares, and history gives the rest; through a crash as well."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.evaluators import EvaluatorProcess, wait_for
from tests.support.stream import Stream
from tests.support.truth import Truth, differences

USERS = [f"user-{n}" for n in range(20)]


def bought(at_least: int, *others: dict[str, Any]) -> dict[str, Any]:
    count = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": at_least}
    return {"logic": "OR", "conditions": [count, *others]}


@pytest.mark.usefixtures("exporter")
def test_what_was_counted_counts_on(stream: Stream, new_worker: Callable[..., EvaluatorProcess]) -> None:
    worker = new_worker().await_ready()
    stream.activate({1: bought(1)})
    for number, user_id in enumerate(USERS):
        for _ in range(1 + number % 4):
            stream.send(user_id, "buy")
    stream.flush()
    stream.await_committed()
    signed_up = {"type": "event_count", "event_type": "signup", "operator": "gte", "value": 1}
    edited = {1: bought(3, signed_up), 2: bought(4)}
    wishes = {stream.wish(1, serving=edited[1], version=2), stream.wish(2, serving=edited[2])}
    stream.await_reports("switched", wishes)
    worker.kill()
    new_worker().await_ready()
    expected = {1: {u for n, u in enumerate(USERS) if n % 4 >= 2}, 2: {u for n, u in enumerate(USERS) if n % 4 == 3}}
    wait_for(lambda: stream.member_sets() == expected, 20, "purchases of before the edit count")
    assert differences(Truth(stream, edited).memberships(stream.clock()), expected) == []
