"""Statements about users by themselves: who there are, what is known of one, and what one did.

All look at the events of one tenant only, and count an event that repeats another's id for nothing.
"""

from shared.domain.condition import PROPERTIES_EVENT
from shared.history.sql_scope import instant
from shared.history.statement import Statement

_OF_TENANT = "FROM events\nWHERE tenant = $tenant\n  AND NOT is_repeat"


def known_users_statement(tenant: int, as_of_us: int) -> Statement:
    """One row, one column: how many users have an event at or before an instant (microseconds since 1970)."""
    sql = f"SELECT count(DISTINCT user_id)\n{_OF_TENANT}\n  AND makes_known\n  AND occurred_at <= $as_of"
    return Statement(sql, {"tenant": tenant, "as_of": instant(as_of_us)})


def newest_statement(tenant: int) -> Statement:
    """One row, one column: when the tenant's newest event was received, in microseconds; NULL without events."""
    return Statement(f"SELECT epoch_us(max(received_at))\n{_OF_TENANT}", {"tenant": tenant})


def search_statement(tenant: int, text: str, limit: int) -> Statement:
    """The users whose id contains a text, in whatever case, those seen last first.

    user_id, event_count, first_seen and last_seen (microseconds), users (how many there are in all).
    """
    contains = "\n  AND contains(lower(user_id), lower($text))" if text else ""
    among = "\n  AND user_id IN (SELECT user_id FROM found)" if text else ""
    sql = f"""\
WITH found AS (
SELECT DISTINCT user_id
{_OF_TENANT}
  AND makes_known{contains}
)
SELECT user_id, count(*) AS event_count, epoch_us(min(occurred_at)) AS first_seen,
  epoch_us(max(occurred_at)) AS last_seen, (SELECT count(*) FROM found) AS users
{_OF_TENANT}{among}
GROUP BY user_id
ORDER BY last_seen DESC, user_id
LIMIT $limit"""
    return Statement(sql, {"tenant": tenant, "limit": limit} | ({"text": text} if text else {}))


def profile_statement(tenant: int, user_id: str) -> Statement:
    """One row about a user: event_count, event_type_count, first_seen and last_seen (microseconds), and properties:
    the payload of the newest `context_identified`, NULL without one.
    """
    # apart, because the other payloads are not to be read
    sql = f"""\
SELECT count(*), count(DISTINCT event_type), epoch_us(min(occurred_at)), epoch_us(max(occurred_at)), (
SELECT arg_max(payload, (occurred_at, log_offset))
{_OF_TENANT}
  AND user_id = $user_id
  AND event_type = $properties_event
)
{_OF_TENANT}
  AND user_id = $user_id"""
    return Statement(sql, {"tenant": tenant, "user_id": user_id, "properties_event": PROPERTIES_EVENT})


def events_count_statement(tenant: int, user_id: str, event_type: str | None, since_us: int | None) -> Statement:
    """One row: how many events the user has, and how many of them `events_statement` finds."""
    wanted, values = _wanted(event_type, since_us)
    sql = f"SELECT count(*), count(CASE WHEN true{wanted} THEN 1 END)\n{_OF_TENANT}\n  AND user_id = $user_id"
    return Statement(sql, {"tenant": tenant, "user_id": user_id, **values})


def events_statement(tenant: int, user_id: str, event_type: str | None, since_us: int | None, limit: int) -> Statement:
    """The user's events, newest first: event_type, occurred_at (microseconds), payload.

    Only those of a type, unless it is None, and that occurred at or after an instant, unless it is None.
    """
    wanted, values = _wanted(event_type, since_us)
    sql = f"""\
SELECT event_type, epoch_us(occurred_at), payload
{_OF_TENANT}
  AND user_id = $user_id{wanted}
ORDER BY occurred_at DESC, log_offset DESC
LIMIT $limit"""
    return Statement(sql, {"tenant": tenant, "user_id": user_id, "limit": limit, **values})


def _wanted(event_type: str | None, since_us: int | None) -> tuple[str, dict[str, object]]:
    sql, values = "", dict[str, object]()
    if event_type is not None:
        sql += " AND event_type = $event_type"
        values["event_type"] = event_type
    if since_us is not None:
        sql += " AND occurred_at >= $since"
        values["since"] = instant(since_us)
    return sql, values
