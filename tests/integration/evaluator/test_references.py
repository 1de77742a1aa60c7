"""Segments that refer to others: whatever becomes of one, those that refer to it follow for every user."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.evaluators import EvaluatorProcess
from tests.support.stream import Membership, Stream

NewWorker = Callable[..., EvaluatorProcess]

MANY = 2_000
"""Users: more than a walk takes at once in each partition."""


def some(event_type: str) -> dict[str, Any]:
    condition = {"type": "event_count", "event_type": event_type, "operator": "gte", "value": 1}
    return {"logic": "AND", "conditions": [condition]}


def refers(segment_id: int, operator: str) -> dict[str, Any]:
    condition = {"type": "segment_membership", "segment_id": segment_id, "operator": operator}
    return {"logic": "AND", "conditions": [condition]}


FAMILY = {1: some("buy"), 2: refers(1, "in"), 3: refers(2, "not_in")}


def assert_in(stream: Stream, expected: Membership) -> None:
    assert stream.memberships(stream.clock()) == expected
    assert stream.member_sets() == expected


def wish(stream: Stream, segment_id: int, **wished: Any) -> list[dict[str, Any]]:
    """Send a command; the changes it led to, when every partition has switched."""
    before = len(stream.changes())
    stream.await_reports("switched", {stream.wish(segment_id, **wished)})
    return stream.changes()[before:]


def of_user(changes: list[dict[str, Any]], user_id: str) -> set[tuple[int, str, str]]:
    """What changed for a user; all of it at the same instant."""
    own = [change for change in changes if change["user_id"] == user_id]
    assert len({change["at_us"] for change in own}) == 1
    return {(change["segment_id"], change["change"], change["reason"]) for change in own}


@pytest.mark.usefixtures("exporter")
def test_those_that_refer_to_a_segment_follow_what_becomes_of_it(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.activate(FAMILY)
    stream.send("anna", "buy")
    stream.send("ben", "look")
    stream.await_committed()
    assert_in(stream, {1: {"anna"}, 2: {"anna"}, 3: {"ben"}})

    changes = wish(stream, 1)
    assert_in(stream, {3: {"anna", "ben"}})
    left = {(1, "exited", "deactivated"), (2, "exited", "computed"), (3, "entered", "computed")}
    assert of_user(changes, "anna") == left
    assert len(changes) == 3

    changes = wish(stream, 1, serving=some("look"), version=2)
    assert_in(stream, {1: {"ben"}, 2: {"ben"}, 3: {"anna"}})
    turned = {1: "entered", 2: "entered", 3: "exited"}
    assert of_user(changes, "ben") == {(n, change, "computed") for n, change in turned.items()}

    changes = wish(stream, 1, deleted=True)
    assert_in(stream, {3: {"anna", "ben"}})
    assert of_user(changes, "ben") == {(1, "exited", "deleted"), *left - {(1, "exited", "deactivated")}}


def test_a_switch_turns_those_that_refer_to_it_at_the_same_instant(stream: Stream, new_worker: NewWorker) -> None:
    new_worker().await_ready()
    stream.activate(FAMILY)
    computing = stream.wish(1, serving=FAMILY[1], computing=some("look"), computing_version=2)
    stream.await_reports("ready", {computing})
    stream.send("anna", "buy")
    stream.send("ben", "look")
    stream.await_committed()
    changes = wish(stream, 1, serving=some("look"), version=2)
    assert_in(stream, {1: {"ben"}, 2: {"ben"}, 3: {"anna"}})
    for user_id, change in (("anna", "exited"), ("ben", "entered")):
        other = {"exited": "entered", "entered": "exited"}[change]
        turned = {(1, change, "computed"), (2, change, "computed"), (3, other, "computed")}
        assert of_user(changes, user_id) == turned


@pytest.mark.parametrize("place", ["after_changelog:6", "after_redis:3", "after_changes:3"])
def test_a_crash_in_the_middle_leaves_nobody_behind(stream: Stream, new_worker: NewWorker, place: str) -> None:
    first = new_worker().await_ready()
    stream.activate(FAMILY)
    users = {f"user-{number}" for number in range(MANY)}
    for user_id in users:
        stream.send(user_id, "buy")
    stream.await_committed()
    assert_in(stream, {1: users, 2: users})
    assert first.stop() == 0

    # nothing else changes anybody: the walk takes each of the four partitions' users in two parts, and publishes the
    # second after the first; so some are in Redis then, and some are not
    dying = new_worker(environ={"SHOAL_EVALUATOR_CRASH_AT": place}).await_ready()
    deactivated = stream.wish(1)
    dying.await_exit(30)
    assert 0 < len(stream.member_sets().get(1, ())) < MANY

    new_worker().await_ready()
    stream.await_reports("switched", {deactivated})
    assert_in(stream, {3: users})
    turns = defaultdict(list)
    for change in stream.distinct_changes():
        turns[change["user_id"]].append(change)
    for user_id in users:
        assert {(c["segment_id"], c["change"]) for c in turns[user_id][:2]} == {(1, "entered"), (2, "entered")}
        left = {(1, "exited", "deactivated"), (2, "exited", "computed"), (3, "entered", "computed")}
        assert of_user(turns[user_id][2:], user_id) == left
        assert len(turns[user_id]) == 2 + len(left)
