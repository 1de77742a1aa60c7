"""Verdicts by example: both sides of every edge, and the exact instant of the turn, singly and in groups."""

from typing import Any

import pytest

from shared.domain.event import Event
from shared.domain.user_state import NEVER
from tests.support.kernel import fold_all, plan_of

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 1_777_118_400 * SECOND


def count(operator: str, value: int, **keys: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": "view", "operator": operator, "value": value} | keys


def recency(operator: str, **keys: Any) -> dict[str, Any]:
    return {"type": "recency", "event_type": "view", "operator": operator} | keys


def metric(name: str, operator: str, value: float, **keys: Any) -> dict[str, Any]:
    rest = {"event_type": "view", "property": "v", "metric": name, "operator": operator, "value": value}
    return {"type": "monetary"} | rest | keys


def verdict(condition: dict[str, Any], *events: tuple[int, Any], at: int = NOW) -> tuple[bool, int]:
    """The verdict at an instant on views, each so many microseconds before NOW with a value `v`; turns from NOW on."""
    definition = condition if "logic" in condition else {"logic": "AND", "conditions": [condition]}
    plan = plan_of([definition])
    folded = [Event("u", "view", NOW - age, NOW, 0, {"v": value}) for age, value in events]
    member, recheck_at = plan.segments[1].verdict(fold_all(plan, folded), at)
    return member, NEVER if recheck_at == NEVER else recheck_at - NOW


def ages(*seconds: float) -> list[tuple[int, Any]]:
    return [(round(second * SECOND), 0) for second in seconds]


W10 = {"window_seconds": 10}


@pytest.mark.parametrize(
    ("condition", "seconds", "expected"),
    [
        (count("gte", 0), [], (True, NEVER)),
        (count("eq", 0), [], (True, NEVER)),
        (count("gt", 0), [], (False, NEVER)),
        (count("gte", 2), [5, 900], (True, NEVER)),
        (count("lt", 2), [5, 900], (False, NEVER)),
        (count("gte", 2, **W10), [1, 4], (True, 6 * SECOND)),
        (count("gte", 2, **W10), [1, 4, 9], (True, 6 * SECOND)),
        (count("gte", 2, **W10), [1, 10], (False, NEVER)),
        (count("gte", 2, **W10), [1, 9.999999], (True, 1)),
        (count("lt", 2, **W10), [1, 4], (False, 6 * SECOND)),
        (count("lte", 2, **W10), [1, 4, 7], (False, 3 * SECOND)),
        (count("eq", 2, **W10), [1, 4], (True, 6 * SECOND)),
        (count("eq", 2, **W10), [1, 4, 7], (False, 3 * SECOND)),
        (count("eq", 2, **W10), [1, 4, 4], (False, NEVER)),
        (count("eq", 1, **W10), [1, 4, 4], (False, 6 * SECOND)),
        (count("eq", 0, **W10), [1, 4], (False, 9 * SECOND)),
        (count("neq", 1, **W10), [1, 4, 4], (True, 6 * SECOND)),
        (count("neq", 2, **W10), [1, 4, 4], (True, NEVER)),
        (count("gte", 2, **W10, negate=True), [1, 4], (False, 6 * SECOND)),
        (recency("lt", **W10), [], (False, NEVER)),
        (recency("gt", **W10), [], (False, NEVER)),
        (recency("lt", **W10), [3, 8], (True, 7 * SECOND)),
        (recency("lt", **W10), [10], (False, NEVER)),
        (recency("lte", **W10), [10], (True, 1)),
        (recency("gt", **W10), [3], (False, 7 * SECOND + 1)),
        (recency("gt", **W10), [10], (False, 1)),
        (recency("gte", **W10), [10], (True, NEVER)),
        (recency("gte", **W10), [3], (False, 7 * SECOND)),
        (recency("eq", window_seconds=2.7), [0.5], (False, 1_500_000)),
        (recency("eq", window_seconds=2.7), [2], (True, SECOND)),
        (recency("eq", window_seconds=2.7), [3], (False, NEVER)),
        (recency("eq", window_minutes=0.5), [59], (True, SECOND)),
        (recency("gt", **W10, negate=True), [], (True, NEVER)),
        (recency("gt", **W10, negate=True), [3], (True, 7 * SECOND + 1)),
    ],
)
def test_counts_and_ages(condition: dict[str, Any], seconds: list[float], expected: tuple[bool, int]) -> None:
    assert verdict(condition, *ages(*seconds)) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (metric("sum", "gt", 5.9), (True, NEVER)),
        (metric("sum", "gt", 6), (False, NEVER)),
        (metric("avg", "eq", 2), (True, NEVER)),
        (metric("max", "lt", 3), (False, NEVER)),
        (metric("min", "lte", 1), (True, NEVER)),
        (metric("sum", "gt", 2, **W10), (True, 9 * SECOND)),
        (metric("sum", "gt", 4, **W10), (True, 5 * SECOND)),
        (metric("sum", "eq", 3, **W10), (False, 5 * SECOND)),
        (metric("sum", "lt", 1, **W10), (False, 9 * SECOND)),
        (metric("avg", "gte", 2, **W10), (True, 9 * SECOND)),
        (metric("avg", "gt", 2, **W10), (False, 2 * SECOND)),
        (metric("max", "gte", 3, **W10), (True, 9 * SECOND)),
        (metric("min", "eq", 2, **W10), (False, 2 * SECOND)),
        (metric("min", "gt", 2, **W10), (False, 5 * SECOND)),
        (metric("min", "gt", 0, **W10), (True, 9 * SECOND)),
        (metric("min", "gt", 0, **W10, negate=True), (False, 9 * SECOND)),
    ],
)
def test_metrics_of_1_2_and_3_that_are_8_5_and_1_seconds_old(
    condition: dict[str, Any], expected: tuple[bool, int]
) -> None:
    assert verdict(condition, (8 * SECOND, 1), (5 * SECOND, 2), (SECOND, 3)) == expected


@pytest.mark.parametrize("window", [{}, W10])
@pytest.mark.parametrize(
    ("name", "operator", "member"),
    [("sum", "eq", True), ("avg", "eq", False), ("max", "neq", False), ("min", "lte", False)],
)
def test_without_a_number_the_sum_is_0_and_other_metrics_are_false(
    window: dict[str, Any], name: str, operator: str, member: bool
) -> None:
    condition = metric(name, operator, 0, **window)
    assert verdict(condition) == verdict(condition, (0, "1"), (0, True)) == (member, NEVER)


def test_an_average_is_compared_unrounded() -> None:
    thirds = [(0, 1), (0, 0), (0, 0)]
    assert verdict(metric("avg", "gt", 0.333333), *thirds)[0]
    assert verdict(metric("avg", "lt", 0.333334), *thirds)[0]
    assert not verdict(metric("avg", "eq", 0.333333), *thirds)[0]


def group(logic: str, *items: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"logic": logic, "conditions": list(items)} | keys


IN_3_TO_5 = group("AND", recency("gte", window_seconds=3), recency("lt", window_seconds=5))


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (IN_3_TO_5, (False, 2 * SECOND)),
        (IN_3_TO_5 | {"negate": True}, (True, 2 * SECOND)),
        (group("AND", recency("gte", window_seconds=5), recency("lt", window_seconds=3)), (False, NEVER)),
        (group("OR", recency("lt", window_seconds=5), recency("gte", window_seconds=3)), (True, NEVER)),
        (group("OR", recency("lt", window_seconds=3), recency("gte", window_seconds=5)), (True, 2 * SECOND)),
        (group("OR", recency("lt", window_seconds=3), recency("lt", window_seconds=9)), (True, 8 * SECOND)),
        (group("AND", recency("lt", window_seconds=3), recency("lt", window_seconds=9)), (True, 2 * SECOND)),
        (group("AND", recency("gt", window_seconds=3), count("eq", 7)), (False, NEVER)),
        (group("OR", group("AND", count("eq", 1)), recency("lt", window_seconds=3)), (True, NEVER)),
    ],
)
def test_a_group_turns_when_its_answer_does_not_when_a_condition_does(
    definition: dict[str, Any], expected: tuple[bool, int]
) -> None:
    assert verdict(definition, (SECOND, 0)) == expected


def test_a_turn_behind_many_turns_of_conditions_is_found() -> None:
    """Each condition is true in its own second, apart from all others, until the last two meet."""
    apart = [recency("eq", window_seconds=second) for second in range(1, 40, 2)]
    never_two = group(
        "AND", group("OR", *apart), group("OR", *(recency("eq", window_seconds=s + 1) for s in range(1, 40, 2)))
    )
    assert verdict(never_two, (0, 0)) == (False, NEVER)
    meeting = group(
        "AND", group("OR", *apart), group("OR", recency("eq", window_seconds=39), recency("eq", window_seconds=2))
    )
    assert verdict(meeting, (0, 0)) == (False, 39 * SECOND)
    assert verdict(meeting | {"negate": True}, (0, 0)) == (True, 39 * SECOND)


@pytest.mark.timeout(30)
def test_a_hard_question_over_many_numbers_is_answered_without_trying_every_turn() -> None:
    """99 conditions flicker together as 2,000 numbers leave their windows, one against them: never all at once."""
    numbers = [(second * SECOND, second % 2) for second in range(2_000)]
    flicker = metric("avg", "eq", 0.5, window_days=1)
    assert verdict(group("AND", *[flicker] * 99, flicker | {"negate": True}), *numbers) == (False, NEVER)
    assert verdict(group("OR", *[flicker] * 99, flicker | {"negate": True}), *numbers) == (True, NEVER)
