"""A user with more events than are kept one by one is known as one whose answers may be approximate."""

import json
from typing import Any

import pytest

from services.evaluator.recovery import LogRecord
from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.transition import Outcome
from shared.contracts.keys import partition_of, user_key
from tests.support.served_table import serve

LIMIT = 4_096
KEY = user_key(1, "hot")
HERE = partition_of(KEY, 12)
OFTEN = {"type": "event_count", "event_type": "look", "operator": "gte", "value": 5_000, "window_days": 1}
SPENT = {"type": "monetary", "event_type": "look", "property": "v", "metric": "sum", "operator": "gte", "value": 1}
BOUGHT = {"type": "event_sequence", "events": ["look", "buy"], "window_days": 1}


def table_after(count: int, condition: dict[str, Any]) -> StateTable:
    """A partition after so many events of one user, one a second, written behind."""
    table = StateTable(HERE)
    put(table, condition)
    events = [{"event_type": "look", "payload": {"v": 0.5}, "tenant": 1, "user_id": "hot"}] * count
    records = [LogRecord(n, 1_777_118_400_000 + n, KEY, json.dumps(event).encode()) for n, event in enumerate(events)]
    assert Step(table, 12).fold_records(records, Outcome(table)) == []
    table.encode_user(KEY)
    return table


def put(table: StateTable, condition: dict[str, Any] | None) -> None:
    definition = {"logic": "AND", "conditions": [condition]}
    version = None if condition is None else PlanVersion(1, definition, 0)
    serve(table, {1: version})


@pytest.mark.parametrize("condition", [OFTEN, SPENT | {"window_days": 1}, BOUGHT], ids=["times", "pairs", "sequence"])
def test_a_user_is_at_the_bound_from_the_first_entry_that_does_not_fit(condition: dict[str, Any]) -> None:
    assert table_after(LIMIT, condition).at_bound == set()
    table = table_after(LIMIT + 1, condition)
    assert table.at_bound == {KEY}

    table.at_bound.clear()  # as after a recovery: known again when the user is read
    del table.live[KEY]
    table.user(KEY)
    assert table.at_bound == {KEY}

    put(table, None)
    Step(table, 12).reconcile(KEY, {1}, Outcome(table))
    table.encode_user(KEY)
    assert table.at_bound == set()
