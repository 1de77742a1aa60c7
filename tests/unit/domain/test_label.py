"""Sentences for conditions, and what they compare with."""

from typing import Any

import pytest

from shared.domain.definition import parse_definition
from shared.domain.label import MAX_SHOWN, MAX_TEXT
from shared.domain.written import WrittenCondition, written

NAMES = {7: "Big spenders"}


def line_of(condition: dict[str, Any]) -> WrittenCondition:
    (line,) = written(parse_definition({"logic": "AND", "conditions": [condition]}), NAMES)
    return line


def count(operator: str, value: float, **more: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": "signup", "operator": operator, "value": value, **more}


def recency(operator: str, **more: Any) -> dict[str, Any]:
    return {"type": "recency", "event_type": "signup", "operator": operator, **more}


def spent(operator: str, metric: str = "sum", **more: Any) -> dict[str, Any]:
    condition = {"type": "monetary", "event_type": "order", "property": "total", "metric": metric, "operator": operator}
    return condition | {"value": 499.5} | more


def user(operator: str, *value: Any, **more: Any) -> dict[str, Any]:
    condition = {"type": "user_property", "property": "plan", "operator": operator} | more
    return condition | {"value": value[0]} if value else condition


def in_segment(segment_id: int, operator: str = "in", **more: Any) -> dict[str, Any]:
    return {"type": "segment_membership", "segment_id": segment_id, "operator": operator, **more}


SEQUENCE = {"type": "event_sequence", "events": ["signup", "order"], "window_hours": 48}
FILTERS = [
    {"property": "total", "operator": "gt", "value": 5},
    {"property": "a.b", "operator": "in", "value": ["x", True, 1.5]},
]


@pytest.mark.parametrize(
    ("condition", "label", "threshold"),
    [
        (count("gte", 1), "Did signup", 1),
        (count("neq", 0, window_days=1), "Did signup in the last day", 0),
        (count("gte", 1, window_days=7, negate=True), "Did not do signup in the last 7 days", 1),
        (count("eq", 0, negate=True), "Did signup", 0),
        (count("gte", 3, window_minutes=90), "Did signup at least 3 times in the last 90 minutes", 3),
        (count("gt", 1), "Did signup more than once", 1),
        (count("lte", 2.0), "Did signup at most 2 times", 2),
        (count("lt", 3, negate=True), "Did signup at least 3 times", 3),
        (count("eq", 1, window_seconds=2.5), "Did signup exactly once in the last 2.5 seconds", 1),
        (count("neq", 4), "Did signup any number of times but 4", 4),
        (
            count("gte", 1, filters=FILTERS),
            'Did signup (where total is more than 5 and a.b is one of "x", true, 1.5)',
            1,
        ),
        (recency("lte", window_days=7), "Last did signup at most 7 days ago", "7 days"),
        (recency("lte", window_days=7, negate=True), "Did not do signup in the last 7 days", "7 days"),
        (recency("gt", window_hours=1), "Last did signup more than 1 hour ago", "1 hour"),
        (recency("gte", window_days=0.5, negate=True), "Not: Last did signup at least 0.5 days ago", "0.5 days"),
        (recency("eq", window_days=1.5), "Last did signup 1 day ago, in whole days", "1.5 days"),
        (spent("gte", window_days=30), "Sum of total of order in the last 30 days is at least 499.5", 499.5),
        (spent("lt", "avg", negate=True), "Not: Average of total of order is less than 499.5", 499.5),
        (spent("eq", "max", value=1e3), "Largest total of order is 1000", 1000),
        (spent("neq", "min"), "Smallest total of order is other than 499.5", 499.5),
        (
            {"type": "event_property", "event_type": "order", "property": "a.b", "operator": "is_set"},
            "a.b of the newest order is set",
            None,
        ),
        (user("eq", "pro"), 'User property plan is "pro"', "pro"),
        (user("not_in", ["pro", 1], negate=True), 'Not: User property plan is other than "pro", 1', ["pro", 1]),
        (user("between", [1, 2.5]), "User property plan is between 1 and 2.5", [1, 2.5]),
        (user("not_between", ["a", "b"]), 'User property plan is not between "a" and "b"', ["a", "b"]),
        (user("matches_regex", "^p"), 'User property plan matches "^p"', "^p"),
        (user("does_not_contain", True), "User property plan does not contain true", True),
        (SEQUENCE, "Did signup, then order within 2 days", True),
        (SEQUENCE | {"strict": True}, "Did signup, then order within 2 days, nothing in between", True),
        (
            SEQUENCE | {"events": ["signup", {"event_type": "order", "filters": FILTERS[:1]}], "negate": True},
            "Not: Did signup, then order (where total is more than 5) within 2 days",
            True,
        ),
        (in_segment(7), "Is a member of segment 7 (Big spenders)", True),
        (in_segment(8, "not_in"), "Is not a member of segment 8", False),
        (in_segment(7, "not_in", negate=True), "Is a member of segment 7 (Big spenders)", False),
    ],
)
def test_a_condition_is_written_as_a_sentence(condition: dict[str, Any], label: str, threshold: Any) -> None:
    line = line_of(condition)
    assert (line.label, line.threshold) == (label, threshold)
    assert type(line.threshold) is type(threshold)
    assert (line.path, line.type) == ("$.conditions[0]", condition["type"])


def test_long_values_and_long_lists_are_cut_in_the_sentence_only() -> None:
    values = [str(number) * 100 for number in range(MAX_SHOWN + 5)]
    line = line_of(user("in", values))
    assert line.threshold == values
    assert line.label.endswith(" and 5 more")
    assert len(line.label) < MAX_SHOWN * (MAX_TEXT + 5) + 50


def test_places_are_those_of_messages_about_faults() -> None:
    inner = {"logic": "OR", "conditions": [user("is_set"), {"logic": "AND", "conditions": [count("gte", 1)]}]}
    lines = written(parse_definition({"logic": "AND", "conditions": [inner, SEQUENCE]}), {})
    assert [line.path for line in lines] == [
        "$.conditions[0].conditions[0]",
        "$.conditions[0].conditions[1].conditions[0]",
        "$.conditions[1]",
    ]
