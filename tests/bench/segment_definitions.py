"""Any number of definitions over the same few aggregates: thresholds, operators, windows and combinations differ.

Ten come first at every size; they keep every aggregate, every window and the longest list busy, and they are those that
turn. Of the others most have a threshold that few users ever reach, as in a tenant with very many segments: what they
cost is being there. Many of them hang besides on a threshold that users do cross.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

Json = dict[str, Any]

MOST = 500
"""The greatest threshold of a count: as many times are kept of a user."""
FAR = 80
"""No count of a user comes near it in a run."""
_DAYS = (1, 7, 30, 90)
_SUM_DAYS = (7, 30)
_SEED = 20_260_725


def _count(event_type: str, operator: str, value: int, **more: Any) -> Json:
    return {"type": "event_count", "event_type": event_type, "operator": operator, "value": value} | more


def _viewed(operator: str, value: int, **more: Any) -> Json:
    return _count("page_viewed", operator, value, **more)


def _pricing(operator: str, value: int) -> Json:
    return _viewed(operator, value, filters=[{"property": "path", "operator": "eq", "value": "/pricing"}])


def _spent(metric: str, operator: str, value: float, **more: Any) -> Json:
    shared = {"type": "monetary", "event_type": "order_placed", "property": "total"}
    return shared | {"metric": metric, "operator": operator, "value": value} | more


def _recency(event_type: str, operator: str, days: int) -> Json:
    return {"type": "recency", "event_type": event_type, "operator": operator, "window_days": days}


def _plan(operator: str, value: Any) -> Json:
    tested = {"operator": operator, "value": value}
    return {"type": "event_property", "event_type": "order_placed", "property": "plan"} | tested


def _tier(operator: str, value: Any) -> Json:
    return {"type": "user_property", "property": "tier", "operator": operator, "value": value}


_BOUGHT = {"type": "event_sequence", "events": ["cart_add", "order_placed"], "window_days": 1}


def _all(*conditions: Json) -> Json:
    return {"logic": "AND", "conditions": list(conditions)}


def _any(*conditions: Json) -> Json:
    return {"logic": "OR", "conditions": list(conditions)}


_FIRST: Sequence[Json] = (
    _all(_viewed("gte", 40)),
    _any(_viewed("gte", 30, window_days=1), _viewed("gte", MOST, window_days=90)),
    _all(_count("cart_add", "gte", 18, window_days=7), _recency("page_viewed", "lte", 1)),
    _any(_viewed("gte", 35, window_days=7), _viewed("gt", 40, window_days=30)),
    _all(_spent("sum", "gte", 800), _recency("order_placed", "lte", 30)),
    _any(_spent("sum", "gte", 700, window_days=7), _spent("avg", "gt", 99, window_days=30)),
    _all(_count("order_placed", "gte", 15)),
    _all(_plan("eq", "pro")),
    _all(_tier("eq", "gold"), _BOUGHT),
    _any(
        _pricing("gte", 15),
        _count("cart_add", "gte", 20, window_days=1),
        *(_count("cart_add", "gte", MOST, window_days=days) for days in (30, 90)),
    ),
)


def definitions(count: int) -> list[Json]:
    """The first so many of one endless list."""
    return list(islice(_endless(), count))


def _endless() -> Iterator[Json]:
    yield from _FIRST
    randomness = random.Random(_SEED)
    while True:
        yield _further(randomness)


def _further(randomness: random.Random) -> Json:
    def near() -> Json:
        return _near(randomness)

    def far() -> Json:
        return _far(randomness)

    shapes: dict[Callable[[], Json], int] = {
        lambda: _all(_recency("page_viewed", "lte", 90)): 1,  # nearly everybody, long since
        lambda: _all(_viewed("gte", randomness.randint(40, 60))): 1,  # a few, in time
        lambda: _all(far()): 20,
        lambda: _any(*(far() for _ in range(randomness.choice((2, 3))))): 20,
        lambda: _all(near(), far()): 30,
        lambda: _all(far(), _any(near(), near())): 15,
        lambda: _all(near(), far(), near() | {"negate": True}): 13,
    }
    (shape,) = randomness.choices(list(shapes), list(shapes.values()))
    return shape()


def _near(randomness: random.Random) -> Json:
    """A condition that is true of many, or turns true of many in a run."""
    few, days, sum_days = randomness.randint(1, 30), randomness.choice(_DAYS), randomness.choice(_SUM_DAYS)
    event_type, operator = randomness.choice(("page_viewed", "cart_add")), randomness.choice(("gte", "gt", "lt", "eq"))
    makers: list[Callable[[], Json]] = [
        *[lambda: _count(event_type, operator, few, window_days=days)] * 5,
        lambda: _viewed(operator, few),
        lambda: _count("order_placed", operator, few),
        lambda: _pricing(operator, few),
        lambda: _spent("sum", operator, 20 * few),
        lambda: _spent(randomness.choice(("sum", "max", "avg")), operator, 8 * few, window_days=sum_days),
        *[lambda: _recency(randomness.choice(("page_viewed", "order_placed")), "lte", days)] * 2,
        lambda: _recency("page_viewed", "gt", days),
        lambda: _plan(randomness.choice(("eq", "neq")), "free"),
        lambda: _tier("in", ["gold", "silver"]),
        lambda: dict(_BOUGHT),
    ]
    return randomness.choice(makers)()


def _far(randomness: random.Random) -> Json:
    """A condition that is true of nobody in a run."""
    many, days, sum_days = randomness.randint(FAR, MOST), randomness.choice(_DAYS), randomness.choice(_SUM_DAYS)
    event_type, operator = randomness.choice(("page_viewed", "cart_add")), randomness.choice(("gte", "gt", "eq"))
    makers: list[Callable[[], Json]] = [
        *[lambda: _count(event_type, operator, many, window_days=days)] * 5,
        lambda: _viewed(operator, many),
        lambda: _count("order_placed", operator, many),
        lambda: _pricing(operator, many),
        *[lambda: _spent(*randomness.choice((("sum", "gte", 100 * many), ("max", "gt", 20 + many))))] * 2,
        lambda: _spent("sum", "gte", 100 * many, window_days=sum_days),
        lambda: _spent(randomness.choice(("max", "avg")), "gt", 20 + many, window_days=sum_days),
        lambda: _plan(*randomness.choice((("eq", "enterprise"), ("starts_with", "ent"), ("in", ["team", "business"])))),
        lambda: _tier(*randomness.choice((("eq", "platinum"), ("matches_regex", "^p.*m$")))),
    ]
    return randomness.choice(makers)()
