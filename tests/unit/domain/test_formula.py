"""One spelling for what means the same."""

from typing import Any

import pytest

from shared.domain.definition import parse_definition
from shared.domain.formula import meaning

Json = dict[str, Any]


def group(logic: str, *items: Json, **keys: Any) -> Json:
    return {"logic": logic, "conditions": list(items)} | keys


def count(operator: str, value: int, **keys: Any) -> Json:
    return {"type": "event_count", "event_type": "view", "operator": operator, "value": value} | keys


def recency(operator: str, **keys: Any) -> Json:
    return {"type": "recency", "event_type": "view", "operator": operator} | keys


def monetary(metric: str, operator: str, value: float, **keys: Any) -> Json:
    spent = {"type": "monetary", "event_type": "order", "property": "total"}
    return spent | {"metric": metric, "operator": operator, "value": value} | keys


def plan(operator: str, value: Any = None, **keys: Any) -> Json:
    return {"type": "user_property", "property": "plan", "operator": operator} | (
        keys if value is None else {"value": value} | keys
    )


def ordered(*steps: Any, **keys: Any) -> Json:
    return {"type": "event_sequence", "events": list(steps), "window_days": 1} | keys


def meaning_of(item: Json) -> str:
    return meaning(parse_definition(item if "logic" in item else group("AND", item)))


PRO = {"property": "plan", "operator": "eq", "value": "pro"}
BIG = {"property": "total", "operator": "gt", "value": 5}
B_PRO = {"event_type": "b", "filters": [PRO]}
NO = {"negate": True}
A, B, C = count("gte", 2), plan("eq", "pro"), monetary("sum", "gt", 5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (count("gt", 2), count("gte", 3)),
        (count("lt", 3, **NO), count("gte", 3)),
        (count("eq", 0), count("lt", 1)),
        (count("neq", 0), count("gte", 1)),
        (count("gte", 1, window_days=1), count("gt", 0, window_hours=24)),
        (recency("lt", window_days=7), count("gte", 1, window_days=7)),
        (recency("gte", window_days=1), recency("gte", window_hours=24)),
        (count("gte", 1, filters=[PRO, BIG]), count("gte", 1, filters=[BIG, PRO, BIG])),
        (monetary("sum", "gt", 5, **NO), monetary("sum", "lte", 5)),
        (monetary("max", "gt", 5), monetary("max", "gte", 5.000001)),
        (plan("in", ["a", "b"]), plan("in", ["b", "a", "b"])),
        (plan("eq", "a"), plan("in", ["a"])),
        (plan("is_set", **NO), plan("is_not_set")),
        (plan("is_true"), plan("eq", value=True)),
        (plan("gt", 5), plan("gte", 5.000001)),
        (plan("eq", "a"), plan("eq", "a") | {"type": "event_property", "event_type": "context_identified"}),
        (ordered("a", B_PRO), ordered({"event_type": "a"}, B_PRO | {"filters": [PRO, PRO]}, strict=False)),
        (group("AND", A, B), group("AND", B, A, B)),
        (group("AND", A, group("AND", B, group("OR", C))), group("AND", C, B, A)),
        (group("AND", A, B, **NO), group("OR", A | NO, B | NO)),
        (group("OR", group("AND", A, B), C), group("OR", C, group("AND", B, A))),
        (group("AND", A, count("gte", 0)), A),
    ],
)
def test_what_means_the_same_has_one_meaning(one: Json, other: Json) -> None:
    assert meaning_of(one) == meaning_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (count("gte", 2), count("gte", 3)),
        (count("gte", 2), count("gte", 2, window_days=3650)),
        (count("gte", 2), count("gte", 2, filters=[PRO])),
        (count("gte", 2), count("gte", 2, event_type="click")),
        (recency("gt", window_days=7), recency("gt", window_days=7, **NO)),
        (recency("eq", window_days=1), recency("eq", window_hours=24)),
        (monetary("max", "gt", 5, **NO), monetary("max", "lte", 5)),
        (monetary("avg", "gt", 5), monetary("avg", "gte", 5.000001)),
        (plan("neq", "a"), plan("eq", "a", **NO)),
        (plan("eq", 1), plan("eq", value=True)),
        (plan("eq", "1"), plan("eq", 1)),
        (plan("is_true", **NO), plan("is_false")),
        (ordered("a", "b"), ordered("b", "a")),
        (ordered("a", "b"), ordered("a", "b", strict=True)),
        (group("AND", A, B), group("OR", A, B)),
        (group("AND", A, group("OR", B, C)), group("OR", A, group("AND", B, C))),
    ],
)
def test_what_differs_has_another(one: Json, other: Json) -> None:
    assert meaning_of(one) != meaning_of(other)


def test_references_mean_their_segment() -> None:
    into = {"type": "segment_membership", "segment_id": 7, "operator": "in"}
    out = into | {"operator": "not_in"}
    assert meaning_of(into | NO) == meaning_of(out) != meaning_of(into)
    assert meaning_of(into) != meaning_of(into | {"segment_id": 8})


def test_the_identity_of_a_meaning_is_frozen() -> None:
    """It is stored with each version: another spelling needs another `FORM`."""
    everything = group(
        "AND",
        count("gte", 2, window_days=7, filters=[PRO]),
        recency("eq", window_days=1),
        monetary("avg", "neq", 8.25, **NO),
        plan("between", ["a", "b"]),
        ordered("a", {"event_type": "b", "filters": [BIG]}, strict=True),
        group("OR", {"type": "segment_membership", "segment_id": 7, "operator": "not_in"}, B),
    )
    assert meaning_of(everything) == "6ef7e8a7a0c676d17ed5036da3027b96"
