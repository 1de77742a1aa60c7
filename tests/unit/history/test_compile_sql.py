"""What the text of a statement looks like, and what never stands in it."""

from typing import Any

import pytest

from shared.domain.condition import Definition
from shared.domain.definition import parse_definition
from shared.history.compile_sql import members_sql, preview_statement, readable
from tests.support.sql import archived, previewed, read_again, user_of
from tests.support.strategies import START, alone, log_of

DAY = 86_400_000_000
COUNT: dict[str, Any] = {"type": "event_count", "event_type": "view", "operator": "gte", "value": 1}
SPENT: dict[str, Any] = {"type": "monetary", "event_type": "view", "property": "total", "operator": "gt", "value": 0}
HOSTILE = ("'; DROP TABLE events; --", "$p1", '"', "\\", "a'b", "*/", "\n", "' OR true OR '")


def parsed(*conditions: dict[str, Any], logic: str = "AND") -> Definition:
    return parse_definition({"logic": logic, "conditions": list(conditions)})


def text_of(*conditions: dict[str, Any]) -> str:
    return preview_statement(parsed(*conditions), 7, START, {}, 10).sql


def test_a_lone_count_is_counted_without_a_look_at_what_the_predicates_say() -> None:
    statement = preview_statement(parsed(COUNT | {"window_days": 30}), 7, 1_782_864_000_000_000, {}, 10)
    assert readable(statement) == (
        "WITH gathered AS (\n"
        "  SELECT\n"
        "    user_id,\n"
        "    count(*) AS events,\n"
        "    count(*) AS count_1\n"
        "  FROM events\n"
        "  WHERE tenant = 7\n"
        "    AND NOT is_repeat\n"
        "    AND occurred_at <= TIMESTAMPTZ '2026-07-01 00:00:00+00:00'\n"
        "    AND event_type = 'view'\n"
        "    AND occurred_at > TIMESTAMPTZ '2026-06-01 00:00:00+00:00'\n"
        "  GROUP BY user_id\n"
        "),\n"
        "answers AS (\n"
        "  SELECT\n"
        "    *,\n"
        "    (count_1 >= 1) AS is_member\n"
        "  FROM gathered\n"
        ")\n"
        "SELECT\n"
        "  count(CASE WHEN is_member THEN 1 END) AS matched_users,\n"
        "  coalesce(min(CASE WHEN is_member THEN user_id END, 10), []) AS sample_user_ids,\n"
        "  CAST(coalesce(sum(events), 0) AS BIGINT) AS scanned_events\n"
        "FROM answers"
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_user_wrote_stands_in_no_text_and_the_text_that_is_shown_says_the_same(hostile: str) -> None:
    test = {"property": f"x{hostile}x", "operator": "eq", "value": f"y{hostile}y"}
    asked = (
        COUNT | {"event_type": f"z{hostile}z", "filters": [test]},
        {"type": "event_property", "event_type": f"z{hostile}z"} | test,
        {"type": "event_sequence", "events": [{"event_type": f"z{hostile}z", "filters": [test]}] * 2, "window_days": 1},
    )
    payload = {f"x{hostile}x": f"y{hostile}y"}
    log = log_of([(1, 0, f"z{hostile}z", payload, None, 1)] * 2)
    connection = archived([log])
    for definition in alone(asked):
        sql = members_sql(parse_definition(definition), 7, START, {}).sql
        assert [part for part in (f"x{hostile}x", f"y{hostile}y", f"z{hostile}z") if part in sql] == []
        found = previewed(connection, definition, log[-1].received_at)
        assert found == read_again(connection, definition, log[-1].received_at)
        assert found.users == [user_of(0)]


def test_equal_aggregates_are_computed_once() -> None:
    both = text_of(SPENT | {"metric": "sum"}, SPENT | {"metric": "sum", "operator": "lt"}, SPENT | {"metric": "avg"})
    assert both.count("sum(number_") == 1
    assert both.count("json_extract(") == 1


def test_users_are_those_with_events_unless_somebody_without_any_is_a_member() -> None:
    assert "makes_known" not in text_of(COUNT)
    assert "makes_known" not in text_of(COUNT, COUNT | {"negate": True, "event_type": "order"})
    assert "makes_known" in text_of(COUNT | {"negate": True})
    assert "makes_known" in text_of({"type": "segment_membership", "segment_id": 5, "operator": "not_in"})


def test_a_segment_is_answered_once_however_often_it_is_named() -> None:
    references = [{"type": "segment_membership", "segment_id": number, "operator": "in"} for number in (1, 2, 3)]
    referenced = {3: parsed(COUNT), 2: parsed(references[2]), 1: parsed(references[1], references[2], logic="OR")}
    sql = preview_statement(parsed(*references), 7, START, referenced, 10).sql
    assert [sql.count(f"AS segment_{number}\n") for number in (1, 2, 3)] == [1, 1, 1]
    assert sql.count("FROM events") == 1


@pytest.mark.parametrize("as_of_us", [-(1 << 62), -1, 0, 1 << 62])
def test_any_instant_can_be_asked_about(as_of_us: int) -> None:
    log = log_of([(1, 0, "view", {}, None, 1)])
    definition = alone([COUNT | {"window_days": 3_650}])[0]
    assert previewed(archived([log]), definition, as_of_us).matched == 0


def test_rows_that_were_looked_at_are_counted() -> None:
    log = log_of([(DAY, 0, event_type, {}, None, 1) for event_type in ("view", "view", "order", "search")])
    sequence = {"type": "event_sequence", "events": ["view", "order"], "window_days": 9}
    for asked, rows in (([COUNT], 2), ([sequence], 3), ([sequence, COUNT], 5), ([sequence | {"strict": True}], 3)):
        definition = {"logic": "AND", "conditions": asked}
        assert previewed(archived([log]), definition, log[-1].received_at).scanned == rows
