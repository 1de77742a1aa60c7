"""A user with very many events: taken in together they cost few evaluations, and end as if each had been evaluated."""

import json
from typing import Any

import pytest

from services.evaluator import step as step_module
from services.evaluator.recovery import LogRecord
from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.transition import Outcome
from shared.contracts.keys import partition_of, user_key
from shared.domain.user_state import Membership
from tests.support.served_table import serve

KEY = user_key(1, "hot")
HERE = partition_of(KEY, 12)
SPENT = {"type": "monetary", "event_type": "buy", "property": "total", "metric": "avg", "operator": "gte", "value": 5}
SEEN = {"type": "event_count", "event_type": "look", "operator": "gte", "value": 3, "window_seconds": 1}
DEFINITIONS: list[dict[str, Any]] = [
    {"logic": "AND", "conditions": [SPENT | {"window_seconds": 40}]},
    {"logic": "AND", "conditions": [SPENT | {"window_seconds": 3, "metric": "sum", "value": 900}]},
    {"logic": "OR", "conditions": [SEEN, SPENT | {"window_seconds": 2, "metric": "max", "operator": "lt"}]},
]


def events(count: int) -> list[LogRecord]:
    """Fifty a second; the numbers rise and fall, so that memberships turn."""
    values = [
        {"event_type": "look" if n % 7 == 0 else "buy", "payload": {"total": n // 300 % 10}} for n in range(count)
    ]
    messages = [json.dumps({"tenant": 1, "user_id": "hot"} | value).encode() for value in values]
    return [LogRecord(n, 1_777_118_400_000 + 20 * n, KEY, message) for n, message in enumerate(messages)]


def folded(records: list[LogRecord], together: int) -> dict[int, Membership]:
    """The memberships after taking in so many records at a time."""
    versions = {number: PlanVersion(1, definition, 0) for number, definition in enumerate(DEFINITIONS, 1)}
    table = serve(StateTable(HERE), versions)
    step = Step(table, 12)
    for start in range(0, len(records), together):
        assert step.fold_records(records[start : start + together], Outcome(table)) == []
    user = table.user(KEY)
    assert user is not None
    return user.state.memberships


@pytest.mark.parametrize("count", [2_500, 2_950, 3_500])
def test_the_end_is_the_same_however_many_are_taken_in_together(count: int) -> None:
    records = events(count)
    one_by_one, together = folded(records, 1), folded(records, 500)
    for segment_id, membership in one_by_one.items():
        other = together[segment_id]
        assert (other.member, other.recheck_at) == (membership.member, membership.recheck_at)


def test_a_user_with_long_lists_is_evaluated_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = []

    class Counting(Step):
        def _evaluate(self, *arguments: Any) -> None:
            evaluated.append(1)
            super()._evaluate(*arguments)

    monkeypatch.setitem(globals(), "Step", Counting)
    folded(events(3_000), 3_000)
    assert len(evaluated) < 1_250, "until the lists are long, every event is evaluated"
    evaluated.clear()
    monkeypatch.setattr(step_module, "LONG", 1 << 30)
    folded(events(3_000), 3_000)
    assert len(evaluated) == 3_000
