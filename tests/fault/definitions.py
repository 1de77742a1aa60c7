"""Definitions of every condition type with each of its operators, whose memberships turn while a case runs.

Short windows (2 to 6 s) end within the run and turn users by time alone; long ones reach further back than the latest
event, so that nothing turns while the end is compared.
"""

from typing import Any

Json = dict[str, Any]

LONGEST_SHORT_WINDOW_US = 6_000_000


def _count(event_type: str, operator: str, value: int, **more: Any) -> Json:
    return {"type": "event_count", "event_type": event_type, "operator": operator, "value": value} | more


def _recency(event_type: str, operator: str, window_seconds: float, **more: Any) -> Json:
    shared = {"type": "recency", "event_type": event_type, "operator": operator, "window_seconds": window_seconds}
    return shared | more


def _spent(metric: str, operator: str, value: float, **more: Any) -> Json:
    shared = {"type": "monetary", "event_type": "order_placed", "property": "basket.total", "metric": metric}
    return shared | {"operator": operator, "value": value} | more


def _all(*conditions: Json, **more: Any) -> Json:
    return {"logic": "AND", "conditions": list(conditions)} | more


def _any(*conditions: Json, **more: Any) -> Json:
    return {"logic": "OR", "conditions": list(conditions)} | more


DEFINITIONS: list[Json] = [
    _all(_count("page_viewed", "gte", 60)),
    _all(_count("order_placed", "eq", 2, window_seconds=4)),
    _all(_count("page_viewed", "neq", 3, window_seconds=3)),
    _all(_count("cart_add", "lt", 15, window_hours=5)),
    _all(_count("signup", "gt", 1, window_seconds=2.5)),
    _all(_count("order_placed", "lte", 1, window_seconds=5), _count("page_viewed", "gt", 20, window_days=7)),
    _all(_recency("cart_add", "lte", 2)),
    _all(_recency("signup", "gt", 4)),
    _any(_recency("order_placed", "lt", 2), _recency("cart_add", "gte", 5.5, negate=True), negate=True),
    _all(_recency("page_viewed", "eq", 3)),
    _all(_spent("sum", "gte", 900)),
    _all(_spent("avg", "lt", 50, window_days=1)),
    _any(_spent("max", "gte", 99, window_seconds=6), _spent("min", "lte", 2, window_seconds=3)),
    _all(_spent("max", "eq", 50, window_seconds=6), _spent("sum", "gt", 2000, negate=True)),
    _any(
        _all(_count("cart_add", "gte", 2, window_seconds=2), _spent("sum", "neq", 0, window_seconds=3)),
        _all(_count("signup", "gte", 5, window_minutes=90), _recency("page_viewed", "gt", 2)),
    ),
]

STATIONARY: list[Json] = [
    definition
    for definition in DEFINITIONS
    if not any(unit in repr(definition) for unit in ("window_minutes", "window_hours", "window_days"))
]
"""Those whose lists stop growing within seconds, so that the memory of a long run tells of leaks and not of windows."""
