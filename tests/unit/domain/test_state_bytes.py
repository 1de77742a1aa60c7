"""What a definition is said to keep of a user is enough, and not far from it."""

from typing import Any

import pytest

from shared.domain.bucket import LIMIT
from shared.domain.condition import gathering
from shared.domain.definition import parse_definition
from shared.domain.event import Event
from shared.domain.state_bytes import state_bytes
from shared.domain.user_state import encode_state
from tests.support.kernel import plan_of, state_after
from tests.support.strategies import START

DAY = 86_400_000_000
COUNT = {"type": "event_count", "event_type": "order", "operator": "gte", "value": 3}
SUM = {"type": "monetary", "event_type": "order", "property": "total", "metric": "sum", "operator": "gt", "value": 1}
PLAN = {"type": "event_property", "event_type": "order", "property": "plan", "operator": "eq", "value": "pro"}
ORDERED = {"type": "event_sequence", "events": ["order", "never"], "window_days": 7}


@pytest.mark.parametrize(
    ("conditions", "share"),
    [
        ([COUNT], 0.4),
        ([COUNT | {"value": 2_000, "window_days": 30}], 0.95),
        ([COUNT | {"value": 2_000, "window_days": 30}, COUNT | {"value": 9, "window_days": 1}], 0.95),
        ([COUNT | {"value": LIMIT + 1, "window_days": 30, "operator": "gt"}], 0.5),
        ([{"type": "recency", "event_type": "order", "operator": "lt", "window_days": 1}], 0.5),
        ([SUM], 0.5),
        ([SUM | {"window_days": 30}], 0.5),
        ([SUM | {"window_days": days, "metric": metric} for days, metric in ((1, "avg"), (30, "max"))], 0.3),
        ([PLAN], 0.5),
        ([ORDERED], 0.7),
        ([COUNT, SUM, PLAN, ORDERED | {"strict": True}], 0.7),
    ],
)
def test_the_bound_holds_and_is_near(conditions: list[dict[str, Any]], share: float) -> None:
    definition = {"logic": "AND", "conditions": conditions}
    step = 30 * DAY // 12_000
    events = [
        Event("u", "order", START + n * step, START + n * step, 1 << 40 | n, {"total": n * 1_000.5, "plan": "p" * 60})
        for n in range(12_000)
    ]
    plan = plan_of([definition])
    with_slots, without = state_after(plan, events), state_after(plan_of([]), events)
    kept = len(encode_state(with_slots)) - len(encode_state(without))
    bound = sum(state_bytes(gathering(parse_definition(definition))).values())
    assert share * bound <= kept <= bound
