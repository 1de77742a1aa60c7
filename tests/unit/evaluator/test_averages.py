"""An average in a window may turn at any event: whoever it alone keeps out is asked again at the next one."""

import json

from services.evaluator.recovery import LogRecord
from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.transition import Outcome
from shared.contracts.keys import partition_of, user_key
from tests.support.served_table import serve

KEY = user_key(1, "ann")
HERE = partition_of(KEY, 12)
BOUGHT = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1, "window_hours": 1}
SPENT_LITTLE = {
    "type": "monetary",
    "event_type": "pay",
    "property": "v",
    "metric": "avg",
    "operator": "lte",
    "value": 3,
}


def test_who_is_kept_out_by_an_average_alone_enters_when_it_falls() -> None:
    definition = {"logic": "AND", "conditions": [BOUGHT, SPENT_LITTLE | {"window_days": 1}]}
    table = serve(StateTable(HERE), {7: PlanVersion(1, definition, 0)})
    events = [("look", 0), ("pay", 9), ("pay", 1), ("buy", 0), ("pay", 1), ("pay", 1)]
    turned = []
    for offset, (event_type, value) in enumerate(events):
        out, message = (
            Outcome(table),
            {"tenant": 1, "user_id": "ann", "event_type": event_type, "payload": {"v": value}},
        )
        record = LogRecord(offset, 1_777_118_400_000 + offset, KEY, json.dumps(message).encode())
        assert Step(table, 12).fold_records([record], out) == []
        turned += [offset] * len(out.changes)
    assert turned == [5], "the average of 9, 1, 1, 1 is 3"
