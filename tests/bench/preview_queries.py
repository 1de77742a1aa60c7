"""Definitions, each with the statement that somebody who knows DuckDB would write by hand for its meaning."""

from typing import Any, NamedTuple

from tests.bench.history_data import END_US, TENANT

Json = dict[str, Any]


class Written(NamedTuple):
    """A definition, and by hand a SELECT of `user_id`, `is_member` and `looked_at`, the rows behind it."""

    definition: Json
    by_hand: str


_AS_OF = f"make_timestamptz({END_US})"
_ROWS = f"tenant = {TENANT} AND NOT is_repeat AND occurred_at <= {_AS_OF}"


def _before(days: int) -> str:
    return f"{_AS_OF} - INTERVAL {days} DAY"


_KNOWN = f"SELECT DISTINCT user_id FROM events WHERE {_ROWS} AND makes_known"


def _all_of(*conditions: Json) -> Json:
    return {"logic": "AND", "conditions": list(conditions)}


def _one_of(*conditions: Json) -> Json:
    return {"logic": "OR", "conditions": list(conditions)}


_BOUGHT = {"type": "event_count", "event_type": "order_placed", "operator": "gte", "value": 3, "window_days": 90}
_SPENT: Json = {"type": "monetary", "event_type": "cart_add", "property": "total", "metric": "sum"}

QUERIES: dict[str, Written] = {
    "count in 90 days": Written(
        _all_of(_BOUGHT),
        f"""
        SELECT user_id, count(*) >= 3 AS is_member, count(*) AS looked_at FROM events
        WHERE {_ROWS} AND event_type = 'order_placed' AND occurred_at > {_before(90)} GROUP BY user_id
        """,
    ),
    "sum of a property": Written(
        _all_of(_SPENT | {"operator": "gt", "value": 1500}),
        f"""
        SELECT user_id, sum(TRY_CAST(payload -> 'total' AS DECIMAL(21, 6))) > 1500 AS is_member, count(*) AS looked_at
        FROM events WHERE {_ROWS} AND event_type = 'cart_add' GROUP BY user_id
        """,
    ),
    "not for 30 days, or never": Written(
        _one_of(
            {"type": "recency", "event_type": "login", "operator": "gt", "window_days": 30},
            {"type": "event_count", "event_type": "login", "operator": "eq", "value": 0},
        ),
        f"""
        SELECT user_id, newest IS NULL OR newest < {_before(30)} AS is_member, looked_at
        FROM ({_KNOWN}) LEFT JOIN (
          SELECT user_id, max(occurred_at) AS newest, count(*) AS looked_at
          FROM events WHERE {_ROWS} AND event_type = 'login' GROUP BY user_id
        ) USING (user_id)
        """,
    ),
    "one after the other in 7 days": Written(
        _all_of({"type": "event_sequence", "events": ["search", "order_placed"], "window_days": 7}),
        f"""
        SELECT
          user_id,
          max(CASE WHEN event_type = 'order_placed' THEN occurred_at - before <= INTERVAL 7 DAY END) AS is_member,
          count(*) AS looked_at
        FROM (
          SELECT user_id, event_type, occurred_at, max(CASE WHEN event_type = 'search' THEN occurred_at END) OVER (
            PARTITION BY user_id ORDER BY occurred_at, log_offset ROWS UNBOUNDED PRECEDING
          ) AS before
          FROM events WHERE {_ROWS} AND event_type IN ('search', 'order_placed')
        ) GROUP BY user_id
        """,
    ),
    "newest plan": Written(
        _all_of({"type": "user_property", "property": "plan", "operator": "in", "value": ["pro", "team"]}),
        f"""
        SELECT user_id, arg_max_null(payload ->> 'plan', (occurred_at, log_offset)) IN ('pro', 'team') AS is_member,
          count(*) AS looked_at
        FROM events WHERE {_ROWS} AND event_type = 'context_identified' GROUP BY user_id
        """,
    ),
    "five conditions": Written(
        _all_of(
            _one_of(_BOUGHT | {"value": 1}, _SPENT | {"operator": "gt", "value": 500, "window_days": 60}),
            {"type": "recency", "event_type": "login", "operator": "lt", "window_days": 100},
            {"type": "user_property", "property": "plan", "operator": "eq", "value": "pro"},
            {
                "type": "event_count",
                "event_type": "page_viewed",
                "operator": "lte",
                "value": 3,
                "filters": [{"property": "total", "operator": "gte", "value": 50}],
            },
        ),
        f"""
        SELECT user_id,
          (count(CASE WHEN event_type = 'order_placed' AND occurred_at > {_before(90)} THEN 1 END) >= 1
            OR sum(CASE WHEN event_type = 'cart_add' AND occurred_at > {_before(60)}
              THEN TRY_CAST(payload -> 'total' AS DECIMAL(21, 6)) END) > 500)
          AND max(CASE WHEN event_type = 'login' THEN occurred_at END) > {_before(100)}
          AND arg_max_null(CASE WHEN event_type = 'context_identified' THEN payload ->> 'plan' END,
            CASE WHEN event_type = 'context_identified' THEN (occurred_at, log_offset) END) = 'pro'
          AND count(CASE WHEN event_type = 'page_viewed'
            AND TRY_CAST(payload -> 'total' AS DECIMAL(21, 6)) >= 50 THEN 1 END) <= 3 AS is_member,
          count(*) AS looked_at
        FROM events
        WHERE {_ROWS} AND event_type IN ('order_placed', 'cart_add', 'login', 'page_viewed', 'context_identified')
        GROUP BY user_id
        """,
    ),
}


def by_hand(written: Written, limit: int) -> str:
    """The statement by hand, with the row that a preview gives."""
    return f"""
    SELECT count(CASE WHEN is_member THEN 1 END), coalesce(min(CASE WHEN is_member THEN user_id END, {limit}), []),
      sum(looked_at)::BIGINT
    FROM ({written.by_hand})
    """
