"""Questions about a user on values: what is answered, and that nothing changes by it."""

import json
from typing import Any

import pytest

from services.evaluator.answers import answer_to
from services.evaluator.recovery import LogRecord
from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.transition import Outcome
from shared.contracts.keys import partition_of, user_key
from shared.contracts.question import Explain, Explained, Refused, Tried, Try
from tests.support.served_table import serve
from tests.support.strategies import alone

PARTITIONS = 12
KEY = user_key(1, "ann")
SECOND_US = 1_000_000
NOW_S = 1_700_000_000
BOUGHT = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": 2, "window_seconds": 60}
NEVER_SOLD = {"type": "event_count", "event_type": "sell", "operator": "lt", "value": 1}
PRO = {"type": "user_property", "property": "plan", "operator": "eq", "value": "pro"}


class Partition:
    """A partition that serves one segment for each condition: 1, 2, ..."""

    def __init__(self, *conditions: dict[str, Any]) -> None:
        versions = {n: PlanVersion(4, definition, 0) for n, definition in enumerate(alone(conditions), 1)}
        self.table = serve(StateTable(partition_of(KEY, PARTITIONS)), versions)
        self.table.record.clock = NOW_S * SECOND_US

    def take(self, event_type: str, at_s: float = NOW_S, **more: Any) -> None:
        record = LogRecord(self.table.next_offset, int(at_s * 1000), KEY, event(event_type, **more))
        assert Step(self.table, PARTITIONS).fold_records([record], Outcome(self.table)) == []
        self.table.next_offset += 1

    def ask(self, ask: Explain | Try) -> Explained | Tried | Refused:
        """The answer; everything of the partition is as before."""
        before = self._seen()
        answer = answer_to(ask, self.table)
        assert self._seen() == before
        return answer

    def tried(self, event_type: str, **more: Any) -> tuple[bool, list[int], list[int], int]:
        said = self.ask(Try(event(event_type, **more)))
        assert isinstance(said, Tried)
        return said.counted, said.entered, said.exited, said.unchanged

    def explained(self, segment_id: int = 1, user_id: str = "ann") -> Explained:
        said = self.ask(Explain(1, user_id, segment_id, evidence=True))
        assert isinstance(said, Explained)
        return said

    def _seen(self) -> object:
        table = self.table
        states = {key: user.encode(0) for key, user in table.live.items()}
        return states, dict(table.store), dict(table.dirty), table.next_offset, table.first_wake(), table.record.clock


def event(event_type: str, **more: Any) -> bytes:
    return json.dumps({"tenant": 1, "user_id": "ann", "event_type": event_type, **more}).encode()


def test_an_event_that_is_tried_turns_what_it_would_turn_and_nothing_else() -> None:
    partition = Partition(BOUGHT, NEVER_SOLD, PRO)
    partition.take("buy", NOW_S - 1)
    assert partition.tried("buy") == (True, [1], [], 2)
    assert partition.tried("sell") == (True, [], [2], 2)
    assert partition.tried("context_identified", payload={"plan": "pro"}) == (True, [3], [], 2)
    assert partition.tried("look") == (True, [], [], 3)


def test_an_unknown_user_is_in_nothing_before_and_as_new_after() -> None:
    partition = Partition(BOUGHT, NEVER_SOLD)
    assert partition.tried("look") == (True, [2], [], 1)
    assert partition.table.live == {}


def test_time_is_the_partitions_and_late_events_are_where_they_belong() -> None:
    partition = Partition(BOUGHT)
    partition.take("buy", NOW_S - 1)
    assert partition.tried("buy", occurred_at="2023-11-14T22:12:00Z") == (True, [], [], 1), "80 s ago"
    assert partition.tried("buy", occurred_at="2023-11-14T23:13:19Z") == (True, [1], [], 0), "an hour ahead: now"
    said = partition.ask(Try(event("buy", occurred_at="2023-11-14T23:13:21Z")))
    assert said == Refused("the partition's clock is more than an hour behind")
    partition.table.record.clock += 59 * SECOND_US
    assert partition.tried("buy") == (True, [], [], 1), "the first has left the window"


def test_a_repeat_would_be_dropped() -> None:
    partition = Partition(BOUGHT)
    partition.take("buy", event_id="order-1")
    assert partition.tried("buy", event_id="order-1") == (False, [], [], 1)
    assert partition.tried("buy", event_id="order-2") == (True, [1], [], 0)


def test_a_segment_that_refers_to_another_turns_with_it() -> None:
    partition = Partition(BOUGHT, {"type": "segment_membership", "segment_id": 1, "operator": "not_in"})
    partition.take("buy")
    assert partition.tried("buy") == (True, [1], [2], 0)


def test_why_a_user_is_a_member() -> None:
    partition = Partition(BOUGHT)
    partition.take("buy", NOW_S - 2)
    partition.take("buy", NOW_S - 1)
    said = partition.explained()
    assert (said.as_of, said.version, said.known, said.member) == (NOW_S * SECOND_US, 4, True, True)
    assert said.next_change_at == (NOW_S + 58) * SECOND_US
    ((found,), (evidence,)) = said.conditions, said.evidence
    assert (found.actual_value, found.matches, found.next_change_at) == (2, True, said.next_change_at)
    assert [kept.occurred_at for kept in evidence.events] == [(NOW_S - 1) * SECOND_US, (NOW_S - 2) * SECOND_US]
    partition.table.record.clock = said.next_change_at
    assert partition.explained().conditions[0].actual_value == 1
    assert not partition.explained().member


def test_a_user_who_is_not_in_memory_is_read_and_not_kept_there() -> None:
    partition = Partition(BOUGHT)
    partition.take("buy")
    partition.table.encode_user(KEY)
    partition.table.live.clear()
    assert partition.explained().conditions[0].actual_value == 1
    assert partition.tried("buy") == (True, [1], [], 0)
    assert partition.table.live == {}


def test_an_unknown_user_matches_nothing_not_even_what_everybody_else_does() -> None:
    said = Partition(NEVER_SOLD).explained(user_id="nobody")
    assert (said.known, said.member, said.next_change_at, said.evidence) == (False, False, None, [])
    ((found),) = said.conditions
    assert (found.actual_value, found.matches) == (None, False)


@pytest.mark.parametrize(("tenant", "segment_id"), [(1, 2), (2, 1)])
def test_a_segment_that_is_not_served_here_is_refused(tenant: int, segment_id: int) -> None:
    said = Partition(BOUGHT).ask(Explain(tenant, "ann", segment_id, evidence=False))
    assert said == Refused("the segment's active version has not been taken in yet")


def test_an_owner_without_a_clock_refuses() -> None:
    partition = Partition(BOUGHT)
    partition.table.record.clock = 0
    assert isinstance(partition.ask(Try(event("buy"))), Refused)


def test_no_answer_is_earlier_than_the_users_last_evaluation() -> None:
    partition = Partition(BOUGHT)
    partition.take("buy", NOW_S + 5)
    partition.table.record.clock = NOW_S * SECOND_US
    assert partition.explained().as_of == (NOW_S + 5) * SECOND_US
