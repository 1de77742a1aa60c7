"""Users as the history knows them. Each function asks it; who asks for a user without events gets NotFound."""

from typing import NamedTuple

from services.api.errors import NotFound
from services.api.history import Opened
from shared.history import changes_sql, explorer_sql
from shared.history.engine import fetch


class Found(NamedTuple):
    """A user in a list; instants are microseconds since 1970."""

    user_id: str
    event_count: int
    first_seen_us: int
    last_seen_us: int


class Profile(NamedTuple):
    """A user; `properties` is JSON text, or None."""

    event_count: int
    event_type_count: int
    first_seen_us: int
    last_seen_us: int
    properties: str | None


class PastEvent(NamedTuple):
    """An event; `payload` is JSON text."""

    event_type: str
    occurred_at_us: int
    payload: str


class PastChange(NamedTuple):
    """A turn of a membership; the instant in microseconds since 1970."""

    segment_id: int
    change: str
    at_us: int
    reason: str
    version: int


class EventsWanted(NamedTuple):
    """Which events of a user, None for all: of a type, and that occurred at or after an instant."""

    event_type: str | None
    since_us: int | None


def search(opened: Opened, tenant: int, text: str, limit: int) -> tuple[int, list[Found]]:
    """How many users have the text in their id, and those of them who were seen last."""
    rows = fetch(opened.cursor, explorer_sql.search_statement(tenant, text, limit))
    return (rows[0][-1] if rows else 0), [Found(*row[:-1]) for row in rows]


def profile(opened: Opened, tenant: int, user_id: str) -> Profile:
    """What is known of the user."""
    (row,) = fetch(opened.cursor, explorer_sql.profile_statement(tenant, user_id))
    found = Profile(*row)
    if not found.event_count:
        raise NotFound("no event of such a user is archived")
    return found


def events(opened: Opened, tenant: int, user_id: str, wanted: EventsWanted, limit: int) -> tuple[int, list[PastEvent]]:
    """How many of the events wanted there are, and the newest of them."""
    ((count, found),) = fetch(opened.cursor, explorer_sql.events_count_statement(tenant, user_id, *wanted))
    if not count:
        raise NotFound("no event of such a user is archived")
    rows = fetch(opened.cursor, explorer_sql.events_statement(tenant, user_id, *wanted, limit))
    return found, [PastEvent(*row) for row in rows]


def changes(opened: Opened, tenant: int, user_id: str, limit: int) -> tuple[int, list[PastChange]]:
    """How many changes the user's memberships had, and the newest of them; `opened` with the changes."""
    rows = fetch(opened.cursor, changes_sql.user_changes_statement(tenant, user_id, limit))
    return (rows[0][-1] if rows else 0), [PastChange(*row[:-1]) for row in rows]
