"""One partition's step on values: what replays, repeats, foreign messages and time do to a user's membership."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest

from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.transition import Outcome
from shared.contracts.change import decode_change
from shared.contracts.keys import partition_of, user_key
from tests.support.served_table import serve

PARTITIONS = 12
KEY = user_key(1, "ann")
HERE = partition_of(KEY, PARTITIONS)
SECOND_US = 1_000_000


@dataclasses.dataclass
class Message:
    """An event as the client decoded it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def _bought(offset: int, at_s: float, key: bytes | None = KEY, **more: Any) -> Message:
    value = json.dumps({"tenant": 1, "user_id": "ann", "event_type": "buy", **more}).encode()
    return Message(offset, int(at_s * 1000), key, value)


class Partition:
    """A partition of one tenant with one segment: bought at least `count` times within `window_s`."""

    def __init__(self, partition: int = HERE) -> None:
        self.table = StateTable(partition)
        self.step = Step(self.table, PARTITIONS)

    def follow(self, cutover: int = 0, count: int = 1, window_s: int = 5) -> None:
        condition = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": count}
        definition = {"logic": "AND", "conditions": [condition | {"window_seconds": window_s}]}
        serve(self.table, {7: PlanVersion(1, definition, cutover)})

    def take(self, *messages: Message) -> list[tuple[str, int]]:
        """Fold; what turned, and when."""
        out = Outcome(self.table)
        assert self.step.fold_records(messages, out) == []
        return _turns(out)

    def pass_time(self, until_s: float) -> list[tuple[str, int]]:
        """Sweep; what turned, and when."""
        out = Outcome(self.table)
        self.step.sweep(int(until_s * SECOND_US), 10, out)
        return _turns(out)


def _turns(out: Outcome) -> list[tuple[str, int]]:
    return [(change.change, change.at_us) for change in (decode_change(value) for _, value in out.changes)]


def test_an_event_enters_and_time_exits_at_the_exact_instant() -> None:
    partition = Partition()
    partition.follow()
    assert partition.take(_bought(0, 1000)) == [("entered", 1000 * SECOND_US)]
    assert partition.pass_time(1004.999999) == []
    assert partition.pass_time(1060) == [("exited", 1005 * SECOND_US)]


def test_an_event_that_the_state_contains_is_skipped() -> None:
    partition = Partition()
    partition.follow(count=2)
    assert partition.take(_bought(0, 1000)) == []
    assert partition.take(_bought(0, 1000)) == []
    assert partition.take(_bought(1, 1000.5)) == [("entered", 1_000_500_000)]


def test_an_event_id_counts_once_even_when_nothing_was_followed_at_its_first() -> None:
    partition = Partition()
    assert partition.take(_bought(0, 1000, event_id="order-1")) == []
    partition.follow(cutover=1)
    assert partition.take(_bought(1, 1001, event_id="order-1")) == []
    assert partition.take(_bought(2, 1002, event_id="order-2")) == [("entered", 1002 * SECOND_US)]


def test_no_evaluation_is_earlier_than_the_users_last() -> None:
    """The partition's clock may be recovered from an older record than the user: publishing was cut short."""
    partition = Partition()
    partition.follow()
    partition.take(_bought(0, 1000))
    assert partition.pass_time(1005) == [("exited", 1005 * SECOND_US)]
    partition.table.record.clock = 1000 * SECOND_US
    assert partition.take(_bought(1, 1003)) == [("entered", 1005 * SECOND_US)]
    assert partition.pass_time(1060) == [("exited", 1008 * SECOND_US)]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key: missing"),
        (user_key(1, "bob"), "key: not that of tenant 1"),
        (user_key(2, "ann"), "key: not that of tenant 1"),
        (b"ann", "key: not that of tenant 1"),
    ],
)
def test_a_message_under_another_key_is_set_aside(key: bytes | None, reason: str) -> None:
    partition = Partition()
    partition.follow()
    out = Outcome(partition.table)
    ((record, why),) = partition.step.fold_records([_bought(4, 1000, key)], out)
    assert (record.offset, out.changes) == (4, [])
    assert why.startswith(reason)


def test_a_message_in_another_partition_than_its_keys_is_set_aside() -> None:
    partition = Partition((HERE + 1) % PARTITIONS)
    partition.follow()
    ((_, why),) = partition.step.fold_records([_bought(0, 1000)], Outcome(partition.table))
    assert f"the key belongs to partition {HERE}" in why
    assert "partitioner=murmur2_random" in why
