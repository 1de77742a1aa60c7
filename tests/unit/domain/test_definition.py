"""What a definition may be, and that every fault is named at once with its place."""

from typing import Any

import pytest

from shared.domain.condition import EventCount, Group, Monetary, Recency
from shared.domain.definition import fingerprint, parse_definition
from shared.domain.errors import InvalidDefinition

DAY = 86_400_000_000

COUNT: dict[str, Any] = {"type": "event_count", "event_type": "view", "operator": "gte", "value": 3}
RECENCY: dict[str, Any] = {"type": "recency", "event_type": "view", "operator": "lt", "window_days": 7}
SUM: dict[str, Any] = {
    "type": "monetary",
    "event_type": "order",
    "property": "total",
    "metric": "sum",
    "operator": "gt",
    "value": 99.5,
}


def group(*conditions: Any, **keys: Any) -> dict[str, Any]:
    return {"logic": "AND", "conditions": list(conditions)} | keys


def faults(raw: object) -> list[str]:
    """Every fault of a definition, as the api says it."""
    with pytest.raises(InvalidDefinition) as caught:
        parse_definition(raw)
    assert caught.value.faults
    return [str(fault) for fault in caught.value.faults]


def paths(raw: object) -> list[str]:
    return [fault.split(": ")[0] for fault in faults(raw)]


def nested(depth: int) -> dict[str, Any]:
    definition = group(COUNT)
    for _ in range(depth - 1):
        definition = group(definition)
    return definition


def test_a_definition_is_read() -> None:
    raw = group(COUNT | {"window_hours": 1.5}, group(RECENCY, SUM | {"negate": True}, logic="OR", negate=True))
    assert parse_definition(raw) == Group(
        "AND",
        (
            EventCount("view", "gte", 3, 5_400_000_000),
            Group(
                "OR",
                (Recency("view", "lt", 7 * DAY, DAY), Monetary("order", "total", "sum", "gt", 99_500_000, None, True)),
                negate=True,
            ),
        ),
    )


@pytest.mark.parametrize("operator", ["eq", "neq", "gt", "gte", "lt", "lte"])
@pytest.mark.parametrize("condition", [COUNT, SUM])
def test_numbers_compare_by_six_operators(condition: dict[str, Any], operator: str) -> None:
    read = parse_definition(group(condition | {"operator": operator})).conditions[0]
    assert isinstance(read, EventCount | Monetary)
    assert read.operator == operator


def test_recency_has_no_neq() -> None:
    assert faults(group(RECENCY | {"operator": "neq"})) == [
        "$.conditions[0].operator: must be one of gt, gte, lt, lte, eq"
    ]


@pytest.mark.parametrize(
    ("window", "length"),
    [
        ({"window_days": 3650}, 3650 * DAY),
        ({"window_days": 0.1}, DAY // 10),
        ({"window_hours": 2}, DAY // 12),
        ({"window_minutes": 1.5}, 90_000_000),
        ({"window_seconds": 0.0000005}, 1),
        ({"window_seconds": 0.0000025}, 2),
        ({"window_seconds": 0.0000035}, 4),
        ({"window_seconds": 315_360_000}, 3650 * DAY),
    ],
)
def test_a_window_is_exact_in_microseconds(window: dict[str, Any], length: int) -> None:
    condition = parse_definition(group(COUNT | window)).conditions[0]
    assert isinstance(condition, EventCount)
    assert condition.window_us == length


@pytest.mark.parametrize(
    "window", [0, -1, 3650.0000001, 1e15, 1e300, float("inf"), float("nan"), True, "7", None, [7], 10**400]
)
@pytest.mark.parametrize("condition", [COUNT, SUM, {k: v for k, v in RECENCY.items() if k != "window_days"}])
def test_a_bad_window_is_refused(condition: dict[str, Any], window: Any) -> None:
    assert paths(group(condition | {"window_days": window})) == ["$.conditions[0].window_days"]


def test_only_one_window_may_be_given_and_recency_needs_one() -> None:
    assert faults(group(COUNT | {"window_days": 1, "window_hours": 24})) == [
        "$.conditions[0].window_hours: only one window may be given, and window_days is"
    ]
    without = {key: value for key, value in RECENCY.items() if key != "window_days"}
    assert faults(group(without))[0].startswith("$.conditions[0].window_days: is missing")


@pytest.mark.parametrize("value", [-1, 0.5, 1e15, True, "3", None, [], float("nan"), float("inf")])
def test_a_count_compares_with_an_integer_from_0(value: Any) -> None:
    assert paths(group(COUNT | {"value": value})) == ["$.conditions[0].value"]


def test_1_and_1_point_0_are_the_same_number() -> None:
    assert parse_definition(group(COUNT | {"value": 3.0})) == parse_definition(group(COUNT))


@pytest.mark.parametrize("value", [1e15, -1e15, 10**15, True, "3", None, {}, float("nan"), float("-inf")])
def test_a_metric_compares_with_a_number_below_1e15(value: Any) -> None:
    assert paths(group(SUM | {"value": value})) == ["$.conditions[0].value"]


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "a\0b", "\ud800", 5, None])
def test_a_property_has_no_empty_part(name: Any) -> None:
    assert paths(group(SUM | {"property": name})) == ["$.conditions[0].property"]


@pytest.mark.parametrize("event_type", ["", "x" * 129, "a\0", "\udfff", 5, None, ["view"]])
def test_an_event_type_is_a_string_of_1_to_128_characters(event_type: Any) -> None:
    assert paths(group(COUNT | {"event_type": event_type})) == ["$.conditions[0].event_type"]


@pytest.mark.parametrize("key", ["event_type", "operator", "value", "property", "metric"])
def test_a_missing_key_is_named(key: str) -> None:
    condition = {name: value for name, value in SUM.items() if name != key}
    assert [fault.split(":")[:2] for fault in faults(group(condition))] == [[f"$.conditions[0].{key}", " is missing"]]


@pytest.mark.parametrize("negate", [1, "true", None, []])
def test_negate_is_a_boolean(negate: Any) -> None:
    assert paths(group(COUNT | {"negate": negate})) == ["$.conditions[0].negate"]


def test_what_is_not_accepted_is_told_what_is() -> None:
    assert faults(group({"type": "spent", "property": "plan"}, COUNT | {"filters": [], "limit": 1})) == [
        (
            "$.conditions[0].type: must be one of event_count, recency, monetary, event_property, user_property, "
            "event_sequence, segment_membership"
        ),
        "$.conditions[1].filters: must hold 1 to 100 filters, here are 0",
        (
            "$.conditions[1].limit: unknown key: event_count has type, event_type, operator, value, "
            "one of window_days, window_hours, window_minutes, window_seconds, filters, negate"
        ),
    ]


TEST: dict[str, Any] = {"type": "user_property", "property": "plan"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"operator": "eq"}, "$.conditions[0].value: is missing: a string, a number below 1e15 or a boolean"),
        ({"operator": "eq", "value": []}, "$.conditions[0].value: must be a string, a number below 1e15 or a boolean"),
        (
            {"operator": "eq", "value": 1e15},
            "$.conditions[0].value: must be a string, a number below 1e15 or a boolean",
        ),
        ({"operator": "lt", "value": True}, "$.conditions[0].value: must be a number below 1e15 or a string"),
        ({"operator": "is_set", "value": 1}, "$.conditions[0].value: is_set takes none"),
        (
            {"operator": "in", "value": []},
            "$.conditions[0].value: must hold 1 to 1000 strings, numbers or booleans, here are 0",
        ),
        (
            {"operator": "in", "value": ["a", None]},
            "$.conditions[0].value[1]: must be a string, a number below 1e15 or a boolean",
        ),
        ({"operator": "matches_regex", "value": "(a"}, "$.conditions[0].value: is not a pattern of RE2: missing ): (a"),
        (
            {"operator": "matches_regex", "value": "a" * 257},
            "$.conditions[0].value: must be an RE2 pattern of at most 256 characters",
        ),
        *(
            (
                {"operator": "between", "value": value},
                "$.conditions[0].value: must be a list [low, high] of two numbers or two strings, low not above high",
            )
            for value in ([2, 1], [1], [1, "2"], [True, True], ["2026-01-02", "2026-01-01"], 1)
        ),
    ],
)
def test_a_test_on_a_value_is_told_what_it_needs(keys: dict[str, Any], expected: str) -> None:
    assert faults(group(TEST | keys)) == [expected]


def test_faults_of_filters_and_steps_are_told_with_their_place() -> None:
    step = {"event_type": "view", "filters": [{"property": "plan", "operator": "eq"}, 1], "within": 2}
    raw = {"type": "event_sequence", "events": ["", step, {"filters": [TEST | {"operator": "is_set"}]}, 5]}
    assert paths(group(raw | {"window_days": 1})) == [
        "$.conditions[0].events[0]",
        "$.conditions[0].events[1].filters[0].value",
        "$.conditions[0].events[1].filters[1]",
        "$.conditions[0].events[1].within",
        "$.conditions[0].events[2].event_type",
        "$.conditions[0].events[2].filters[0].type",
        "$.conditions[0].events[3]",
    ]
    reference = {"type": "segment_membership", "segment_id": "7", "operator": "eq"}
    assert paths(group(reference)) == ["$.conditions[0].segment_id", "$.conditions[0].operator"]


def test_all_faults_are_told_at_once() -> None:
    raw = {
        "logic": "XOR",
        "conditions": [
            COUNT | {"operator": "=", "value": -1, "extra": 1},
            group(RECENCY | {"window_days": 0}, 7),
            {"logic": "AND"},
            {"value": 3},
        ],
        "name": "x",
    }
    assert paths(raw) == [
        "$.logic",
        "$.conditions[0].operator",
        "$.conditions[0].value",
        "$.conditions[0].extra",
        "$.conditions[1].conditions[0].window_days",
        "$.conditions[1].conditions[1]",
        "$.conditions[2].conditions",
        "$.conditions[3].type",
        "$.name",
    ]


@pytest.mark.parametrize("raw", [None, [], "x", 5, True])
def test_a_definition_is_an_object(raw: object) -> None:
    assert paths(raw) == ["$"]


@pytest.mark.parametrize("conditions", [None, [], {}, "x", [COUNT] * 101])
def test_a_group_holds_1_to_100_items(conditions: Any) -> None:
    assert paths({"logic": "AND", "conditions": conditions}) == ["$.conditions"]


def test_a_group_of_100_is_read() -> None:
    assert len(parse_definition(group(*[COUNT] * 100)).conditions) == 100


def test_groups_nest_to_depth_5() -> None:
    assert parse_definition(nested(5)).conditions
    assert paths(nested(6)) == ["$" + ".conditions[0]" * 5]
    assert paths(nested(400)) == ["$" + ".conditions[0]" * 5]


def test_there_are_at_most_200_conditions_in_all() -> None:
    assert parse_definition(group(group(*[COUNT] * 100), group(*[COUNT] * 100))).conditions
    assert faults(group(group(*[COUNT] * 100), group(*[COUNT] * 100), COUNT)) == [
        "$: at most 200 conditions in all, here are 201"
    ]


def test_a_fingerprint_is_that_of_the_rules_not_of_their_spelling() -> None:
    spelled = group(COUNT | {"window_days": 1, "negate": False, "value": 3.0})
    other = {"conditions": [dict(reversed(list(COUNT.items()))) | {"window_hours": 24}], "logic": "AND"}
    assert fingerprint(parse_definition(spelled)) == fingerprint(parse_definition(other))


def test_fingerprints_of_different_rules_differ() -> None:
    different = [
        group(COUNT),
        group(COUNT, logic="OR"),
        group(COUNT, negate=True),
        group(COUNT | {"negate": True}),
        group(COUNT | {"window_days": 1}),
        group(COUNT, COUNT),
        group(group(COUNT)),
        group(RECENCY),
        group(SUM),
        group(SUM | {"value": 999_999_999_999_999}),
    ]
    assert len({fingerprint(parse_definition(raw)) for raw in different}) == len(different)


def test_a_fingerprint_is_frozen() -> None:
    assert fingerprint(parse_definition(group(COUNT, RECENCY, SUM))) == "38d9bdd68fa8512827cf53bd1637a51b"
