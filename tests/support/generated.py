"""Definitions and events drawn by a seed, for a whole installation: every condition type with each of its operators,
filters, groups, negations and references; late, repeated and mistyped events.
"""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

COUNT_OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte")
RECENCY_OPERATORS = ("gt", "gte", "lt", "lte", "eq")
METRICS = ("sum", "avg", "max", "min")
TESTS: tuple[Json, ...] = (
    *({"operator": operator, "value": value} for operator in ("eq", "neq") for value in ("pro", 2)),
    {"operator": "gt", "value": 1.5},
    {"operator": "gte", "value": "2026-01-31"},
    {"operator": "lt", "value": "pro"},
    {"operator": "lte", "value": 2},
    {"operator": "between", "value": [1, 3.5]},
    {"operator": "not_between", "value": ["free", "pro"]},
    {"operator": "in", "value": ["pro", "team", 3.5, True]},
    {"operator": "not_in", "value": ["free", 1]},
    {"operator": "contains", "value": "ro"},
    {"operator": "does_not_contain", "value": 1},
    {"operator": "starts_with", "value": "p"},
    {"operator": "ends_with", "value": "Z"},
    {"operator": "matches_regex", "value": "^(pro|free)$"},
    *({"operator": operator} for operator in ("is_set", "is_not_set", "is_true", "is_false")),
)
_PROPERTIES = ("plan", "total", "basket.size")
_TYPES: dict[str, int] = {
    "page_viewed": 25,
    "order_placed": 15,
    "cart_add": 12,
    "search": 10,
    "login": 10,
    "email_opened": 8,
    "context_identified": 6,
    "ad_clicked": 5,
    "review_written": 5,
    "refund_asked": 4,
}
"""Event types, and how often they come."""
_WINDOWS: tuple[Json, ...] = (
    {"window_days": 3_650},
    {"window_hours": 1},
    {"window_seconds": 2},
    {"window_minutes": 0.15},
    {"window_days": 0.5},
    {"window_seconds": 4.5},
    {"window_hours": 2.5},
)

_NUMBERS: tuple[Any, ...] = (
    0,
    1,
    1,
    2,
    2,
    3.5,
    0.1,
    0.30000000000000004,
    -1,
    8.2,
    25,
    10**15,
    "7",
    None,
    True,
    [1],
    {},
)
_TEXTS: tuple[Any, ...] = ("pro", "pro", "free", "free", "team", "Pro", "", "2026-01-31", "2026-01-31T00:00:00Z")
_MISTYPED: tuple[Any, ...] = (1, 2, True, False, None, ["pro", 1], {"a": 1})
_USUAL = 0.85
"""So often an event of a user has the same payload as most of the user's: answers turn, but not at every event."""
_LATE_S = (0.3, 1.5, 4, 40, 3_000)


def definitions(count: int, seed: int) -> dict[int, Json]:
    """So many definitions by segment id, from 1; each refers, if to any, to earlier ones. They share conditions."""
    randomness = random.Random(seed)
    leaves = list(_conditions())
    randomness.shuffle(leaves)
    unused = itertools.cycle(leaves)
    found: dict[int, Json] = {}
    for segment_id in range(1, count + 1):
        found[segment_id] = _group(randomness, unused, segment_id, depth=1)
    return found


def events(count: int, users: int, seed: int) -> Iterator[tuple[Json, float]]:
    """So many events, each with the seconds by which it is late; 1 % are late, 1 % are repeats of an earlier one."""
    randomness = random.Random(seed)
    usual = [_payload(randomness) for _ in range(users)]
    repeated: list[Json] = []
    for number in range(count):
        if number % 100 == 99 and repeated:
            yield repeated.pop(randomness.randrange(len(repeated))), 0
            continue
        (event_type,) = randomness.choices(list(_TYPES), list(_TYPES.values()))
        user = randomness.randrange(users)
        payload = usual[user] if randomness.random() < _USUAL else _payload(randomness)
        event: Json = {"user_id": f"user-{user}", "event_type": event_type, "payload": payload}
        if number % 50 == 0:
            event["event_id"] = f"{seed}-{number}"
            repeated.append(event)
        yield event, randomness.choice(_LATE_S) if number % 100 == 1 else 0


def moment(seconds: float) -> str:
    """A time of the language, from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _conditions() -> Iterator[Json]:
    """Every condition type with each of its operators, with and without windows and filters."""
    windows, properties, types = itertools.cycle(_WINDOWS), itertools.cycle(_PROPERTIES), itertools.cycle(_TYPES)
    for number, (operator, times) in enumerate(itertools.product(COUNT_OPERATORS, range(4))):
        shared = {"type": "event_count", "event_type": next(types), "operator": operator, "value": number % 5}
        yield shared | (next(windows) if times else {})
    for operator, window in itertools.product(RECENCY_OPERATORS, _WINDOWS[1:4]):
        yield {"type": "recency", "event_type": next(types), "operator": operator} | window
    for number, (metric, operator) in enumerate(itertools.product(METRICS, COUNT_OPERATORS)):
        shared = {"type": "monetary", "event_type": next(types), "property": ("total", "basket.size")[number % 3 // 2]}
        shared |= {"metric": metric, "operator": operator, "value": (2, 3.5, 8.2, 0, 25)[number % 5]}
        yield shared | (next(windows) if number % 3 else {})
    for test in TESTS:
        yield {"type": "event_property", "event_type": next(types), "property": next(properties)} | test
        yield {"type": "user_property", "property": next(properties)} | test
        filters = [{"property": next(properties)} | test]
        yield {"type": "event_count", "event_type": next(types), "operator": "gte", "value": 2, "filters": filters}
    yield from _sequences()


def _sequences() -> Iterator[Json]:
    pro = {"event_type": "order_placed", "filters": [{"property": "plan", "operator": "eq", "value": "pro"}]}
    steps = (
        ["page_viewed", "order_placed"],
        ["cart_add", pro],
        ["page_viewed", "cart_add", "order_placed"],
        ["order_placed", "context_identified", "order_placed"],
        ["cart_add", "cart_add", "cart_add"],
        [pro, "page_viewed", pro, "page_viewed"],
    )
    for number, events in enumerate(steps):
        condition = {"type": "event_sequence", "events": events, "window_seconds": (1, 3, 5)[number % 3]}
        yield condition
        yield condition | {"strict": True}
    yield condition | {"strict": True, "negate": True}


def _group(randomness: random.Random, leaves: Iterator[Json], segment_id: int, depth: int) -> Json:
    items = [_item(randomness, leaves, segment_id, depth) for _ in range(randomness.choice((1, 1, 2, 2, 3)))]
    group: Json = {"logic": randomness.choice(("AND", "OR")), "conditions": items}
    return group | ({"negate": True} if randomness.random() < 0.15 else {})


def _item(randomness: random.Random, leaves: Iterator[Json], segment_id: int, depth: int) -> Json:
    kind = randomness.random()
    if kind < 0.1 and segment_id > 1:
        reference = {"type": "segment_membership", "segment_id": randomness.randrange(1, segment_id)}
        return reference | {"operator": randomness.choice(("in", "not_in"))}
    if kind < 0.36 and depth < 5:
        return _group(randomness, leaves, segment_id, depth + 1)
    return next(leaves)


def _payload(randomness: random.Random) -> Json:
    payload: Json = {}
    if randomness.random() < 0.8:
        payload["total"] = randomness.choice(_NUMBERS)
    if randomness.random() < 0.8:
        payload["plan"] = randomness.choice(_TEXTS if randomness.random() < 0.8 else _MISTYPED)
    if randomness.random() < 0.5:
        payload["basket"] = {"size": randomness.choice(_NUMBERS)}
    if randomness.random() < 0.05:
        payload["basket.size"] = randomness.choice(_NUMBERS)
    return payload
