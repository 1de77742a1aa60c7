"""What is said of a definition that can be saved, and what is not."""

from typing import Any

import pytest

from shared.domain.definition import parse_definition
from shared.domain.definition_warnings import DefinitionWarning, definition_warnings

Json = dict[str, Any]

IN_A = {"type": "segment_membership", "segment_id": 7, "operator": "in"}
LOGGED_IN = {"type": "recency", "event_type": "login", "operator": "lt", "window_days": 3}
ORDERED = {"type": "event_sequence", "events": ["view", "order"], "window_seconds": 60}
NO = {"negate": True}


def all_of(*items: Json, **keys: Any) -> Json:
    return {"logic": "AND", "conditions": list(items)} | keys


def one_of(*items: Json) -> Json:
    return {"logic": "OR", "conditions": list(items)}


def count(operator: str, value: int, **keys: Any) -> Json:
    return {"type": "event_count", "event_type": "view", "operator": operator, "value": value} | keys


def spent(metric: str, operator: str, value: float, **keys: Any) -> Json:
    condition = {"type": "monetary", "event_type": "order", "property": "total"}
    return condition | {"metric": metric, "operator": operator, "value": value} | keys


def plan(operator: str, value: Any = None, **keys: Any) -> Json:
    tested = {"type": "user_property", "property": "plan", "operator": operator}
    return tested | ({} if value is None else {"value": value}) | keys


def sku(*values: Any) -> list[Json]:
    """Filters that want one property to be each of these values."""
    return [{"property": "sku", "operator": "eq", "value": value} for value in values]


def warned(definition: Json) -> list[DefinitionWarning]:
    return definition_warnings(parse_definition(definition))


def certain(definition: Json) -> list[tuple[str, str]]:
    """The paths of what is said to be always or never true, and which."""
    of = {" always true": "always", " never true": "never"}
    return [(path, word) for path, message in warned(definition) for text, word in of.items() if text in message]


@pytest.mark.parametrize(
    "condition",
    [
        count("lt", 0),
        count("gte", 1, filters=sku("a", "b")),
        count("gte", 0, negate=True),
        spent("sum", "gt", 5, filters=sku("a", "b")),
        spent("max", "lt", 5, filters=[*sku("a"), {"property": "sku", "operator": "is_not_set"}]),
        {"type": "event_sequence", "events": ["a", {"event_type": "b", "filters": sku(1, 2)}], "window_days": 1},
    ],
)
def test_a_condition_alone_is_never_true(condition: Json) -> None:
    assert certain(all_of(count("gte", 1), one_of(condition, LOGGED_IN))) == [
        ("$.conditions[1].conditions[0]", "never")
    ]
    assert certain(one_of(LOGGED_IN, condition | {"negate": not condition.get("negate", False)})) == [
        ("$", "always"),
        ("$.conditions[1]", "always"),
    ]


@pytest.mark.parametrize(
    "conditions",
    [
        (count("gt", 5), count("lt", 3)),
        (count("eq", 2), count("eq", 3)),
        (count("gte", 5, window_days=7), count("lt", 3, window_days=30)),
        (count("gte", 1, filters=sku("a")), count("eq", 0)),
        (LOGGED_IN, LOGGED_IN | NO),
        (LOGGED_IN, LOGGED_IN | {"operator": "gt", "window_days": 7}),
        (LOGGED_IN, count("lt", 1, event_type="login")),
        (spent("sum", "gt", 5, window_days=7), spent("sum", "lt", 5.000001, window_days=7)),
        (spent("max", "gt", 5), spent("max", "gt", 3, **NO)),
        (spent("avg", "gt", 5), count("eq", 0, event_type="order")),
        (plan("eq", "pro"), plan("eq", "free")),
        (plan("eq", "pro"), plan("starts_with", "f")),
        (plan("is_set"), plan("is_not_set")),
        (plan("eq", 1), plan("eq", value=True)),
        (plan("gt", 5), plan("lte", 5)),
        (plan("gt", 5), plan("ends_with", "x")),
        (plan("between", [1, 2]), plan("not_between", [0, 3])),
        (plan("in", ["a", "b"]), plan("not_in", ["a", "b", "c"])),
        (plan("eq", "pro"), count("eq", 0, event_type="context_identified")),
        (IN_A, IN_A | {"operator": "not_in"}),
        (ORDERED, ORDERED | NO),
        (ORDERED, count("eq", 0)),
    ],
)
def test_conditions_that_exclude_each_other_are_never_true_together(conditions: tuple[Json, ...]) -> None:
    assert certain(all_of(*conditions)) == [("$", "never")]
    assert certain(all_of(*conditions, negate=True)) == [("$", "always")]
    assert certain(one_of(all_of(*conditions), LOGGED_IN)) == [("$.conditions[0]", "never")]
    assert certain(one_of(*(c | {"negate": not c.get("negate", False)} for c in conditions))) == [("$", "always")]
    either = one_of(*conditions[1:], plan("eq", "other", property="unlike"))
    assert certain(all_of(conditions[0], either)) == []


@pytest.mark.parametrize(
    "definition",
    [
        all_of(count("gt", 5), count("lt", 3, window_days=7)),
        all_of(count("gte", 1, filters=sku("a")), count("gte", 1, filters=sku("b"))),
        all_of(count("gte", 1), count("eq", 0, filters=sku("a"))),
        all_of(spent("avg", "gt", 5), spent("avg", "lt", 5.000001)),
        all_of(spent("sum", "eq", 0), count("eq", 0, event_type="order")),
        all_of(spent("max", "gt", 5, **NO), spent("max", "lte", 5, **NO)),
        one_of(spent("max", "gt", 5), spent("max", "lte", 5)),
        one_of(LOGGED_IN, LOGGED_IN | {"operator": "gte"}),
        one_of(plan("eq", "a"), plan("neq", "a")),
        all_of(plan("contains", "a"), plan("contains", 1)),
        all_of(plan("gt", "2026-01-02"), plan("lt", "2026-01-01")),  # of texts nothing is said but their type
        all_of(IN_A, IN_A | {"segment_id": 8}),
    ],
)
def test_what_may_be_one_or_the_other_is_not_warned_of(definition: Json) -> None:
    assert certain(definition) == []


def test_what_takes_too_long_to_prove_is_not_said() -> None:
    # six into five, each into one of its own: never true, but the ways to try it are many
    into = [[IN_A | {"segment_id": 10 * one + place} for place in range(5)] for one in range(1, 7)]
    apart = [
        one_of(mine | NO, other | NO)
        for number, one in enumerate(into)
        for others in into[:number]
        for mine, other in zip(one, others, strict=True)
    ]
    assert certain(all_of(*(one_of(*places) for places in into), *apart)) == []


def test_the_messages_say_what_follows() -> None:
    assert warned(all_of(count("gte", 0))) == [
        ("$", "the definition is always true: every known user is a member"),
        ("$.conditions[0]", "is always true, whatever a user does"),
    ]
    assert warned(one_of(LOGGED_IN, all_of(IN_A, IN_A | NO))) == [
        ("$.conditions[1]", "is never true, whatever its conditions say of a user")
    ]


def test_many_bytes_of_a_user_are_named_where_they_are_kept() -> None:
    wide = count("gte", 2_000, window_days=30)
    assert warned(all_of(LOGGED_IN, one_of(wide, wide | {"value": 7}))) == [
        ("$.conditions[1].conditions[0]", "keeps up to 18 KiB of a user with very many such events")
    ]
    assert [path for path, _ in warned(all_of(spent("sum", "gt", 5, window_days=7), ORDERED))] == [
        "$.conditions[0]",
        "$.conditions[1]",
    ]


def test_many_bytes_in_all_are_named_too() -> None:
    some = [count("gte", 1_000, window_days=30, event_type=event_type) for event_type in ("a", "b")]
    assert warned(all_of(*some)) == [("$", "the definition keeps up to 18 KiB of a user with very many such events")]
    assert warned(all_of(some[0], some[0] | {"value": 900, "window_days": 7})) == []
