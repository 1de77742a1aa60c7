"""Any number of definitions over the same few aggregates: thresholds, operators, windows and combinations differ.

Ten come first at every size; they keep every aggregate, every window and the longest list busy, and they are those that
turn. Of the others most have thresholds that few users cross in a run, as in a tenant with very many segments: those of
one condition nobody reaches, those of another nearly everybody has passed long ago. What they cost is being there.
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
_LONG_DAYS = (30, 90)
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


_BOUGHT = {"type": "event_sequence", "events": ["cart_add", "order_placed"], "window_days": 30}


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
        lambda: _all(_viewed("gte", randomness.randint(45, 60))): 1,  # a few, in time
        lambda: _all(_crossed(randomness), far()): 1,
        lambda: _all(far()): 20,
        lambda: _any(*(far() for _ in range(randomness.choice((2, 3))))): 20,
        lambda: _all(near(), far()): 30,
        lambda: _all(far(), _any(near(), near())): 15,
        lambda: _all(near(), far(), near() | {"negate": True}): 12,
    }
    return _drawn(randomness, shapes)


def _near(randomness: random.Random) -> Json:
    """A condition whose threshold nearly everybody has passed before the rounds."""
    few, days = randomness.randint(1, 2), randomness.choice(_LONG_DAYS)
    event_type, operator = randomness.choice(("page_viewed", "cart_add")), randomness.choice(("gte", "lt"))
    makers: dict[Callable[[], Json], int] = {
        lambda: _count(event_type, operator, few, window_days=days): 40,
        lambda: _viewed(operator, few): 10,
        lambda: _spent("sum", operator, few, window_days=30): 10,
        lambda: _spent("sum", operator, 10 * few): 10,
        lambda: _recency(
            randomness.choice(("page_viewed", "order_placed")), randomness.choice(("lte", "gt")), days
        ): 10,
        lambda: _plan(randomness.choice(("eq", "neq")), "free"): 5,
        lambda: _tier("in", ["gold", "silver"]): 5,
        lambda: dict(_BOUGHT): 10,
    }
    return _drawn(randomness, makers)


def _crossed(randomness: random.Random) -> Json:
    """A condition whose threshold users pass in the rounds."""
    some, days = randomness.randint(3, 30), randomness.choice(_DAYS)
    makers: dict[Callable[[], Json], int] = {
        lambda: _viewed("gte", some, window_days=days): 50,
        lambda: _viewed("eq", some, window_days=days): 10,
        lambda: _count("order_placed", "gte", some): 20,
        lambda: _spent("sum", "gte", 20 * some): 10,
        lambda: _spent("avg", "gte", 2 * some, window_days=30): 10,
    }
    return _drawn(randomness, makers)


def _far(randomness: random.Random) -> Json:
    """A condition that is true of nobody in a run."""
    many, days, sum_days = randomness.randint(FAR, MOST), randomness.choice(_DAYS), randomness.choice(_SUM_DAYS)
    event_type, operator = randomness.choice(("page_viewed", "cart_add")), randomness.choice(("gte", "gt"))
    makers: dict[Callable[[], Json], int] = {
        lambda: _count(event_type, operator, many, window_days=days): 50,
        lambda: _count(event_type, "eq", many, window_days=days): 2,
        lambda: _viewed(operator, many): 5,
        lambda: _count("order_placed", operator, many): 5,
        lambda: _pricing(operator, many): 5,
        lambda: _spent("sum", operator, 100 * many): 8,
        lambda: _spent("max", operator, 20 + many): 2,
        lambda: _spent("sum", operator, 100 * many, window_days=sum_days): 8,
        lambda: _spent(randomness.choice(("max", "avg")), "gt", 20 + many, window_days=sum_days): 2,
        lambda: _plan(*randomness.choice((("eq", "enterprise"), ("starts_with", "ent"), ("in", ["team", "staff"])))): 7,
        lambda: _tier(*randomness.choice((("eq", "platinum"), ("matches_regex", "^p.*m$")))): 6,
    }
    return _drawn(randomness, makers)


def _drawn(randomness: random.Random, makers: dict[Callable[[], Json], int]) -> Json:
    """What one of the makers makes; each has its weight."""
    (maker,) = randomness.choices(list(makers), list(makers.values()))
    return maker()
