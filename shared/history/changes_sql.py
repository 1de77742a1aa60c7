"""Statements over the relation `changes`."""

from shared.history.sql_scope import instant
from shared.history.statement import Statement


def feed_statement(after: int, until: int, limit: int, tenant: int | None, segment_id: int | None) -> Statement:
    """The first changes after a position, and not after another, by position; of a tenant, of a segment if not None.

    position, tenant, segment_id, version, user_id, change, turned_at (microseconds), reason, generation, sequence.
    """
    only = {"tenant": tenant, "segment_id": segment_id}
    wanted = {name: value for name, value in only.items() if value is not None}
    sql = f"""\
SELECT position, tenant, segment_id, version, user_id, change, epoch_us(turned_at), reason, generation, sequence
FROM changes
WHERE position > $after
  AND position <= $until{"".join(f" AND {name} = ${name}" for name in wanted)}
ORDER BY position
LIMIT $limit"""
    return Statement(sql, {"after": after, "until": until, "limit": limit, **wanted})


def members_then_statement(tenant: int, segment_id: int, at_us: int, after: str | None, limit: int) -> Statement:
    """One row about the members of a segment at an instant (microseconds since 1970): how many, and a list of
    {user_id, since}: those with ids after one if not None, by id, at most `limit`; since: when they entered.
    """
    behind = " AND user_id > $after" if after is not None else ""
    sql = f"""\
WITH last AS (
  SELECT user_id, arg_max(change, position) AS change, epoch_us(arg_max(turned_at, position)) AS since
  FROM changes
  WHERE tenant = $tenant
    AND segment_id = $segment_id
    AND turned_at <= $at
  GROUP BY user_id
)
SELECT
  count(*),
  coalesce(min(CASE WHEN true{behind} THEN {{'user_id': user_id, 'since': since}} END, $limit), [])
FROM last
WHERE change = 'entered'"""
    bound = {"tenant": tenant, "segment_id": segment_id, "at": instant(at_us), "limit": limit}
    return Statement(sql, bound | ({"after": after} if after is not None else {}))


def user_changes_statement(tenant: int, user_id: str, limit: int) -> Statement:
    """A user's changes, the newest first: segment_id, change, turned_at (microseconds), reason, version, and how many
    there are in all.
    """
    sql = """\
SELECT segment_id, change, epoch_us(turned_at), reason, version, count(*) OVER ()
FROM changes
WHERE tenant = $tenant
  AND user_id = $user_id
ORDER BY position DESC
LIMIT $limit"""
    return Statement(sql, {"tenant": tenant, "user_id": user_id, "limit": limit})
