"""What must hold of a definition in SQL: for many users in one table, whatever instant is asked about."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from shared.domain.event import Event
from tests.support import dense, strategies
from tests.support.sql import archived, estimated, expected, instants, members, previewed, read_again
from tests.support.strategies import alone
from tests.support.themes import THEMES, Theme

Question = tuple[Sequence[Theme], Sequence[int]]
"""Definitions with logs made for them, one user each, and for each theme which of its instants is asked about."""

_ANY: dict[str, st.SearchStrategy[Theme]] = {
    "any definition": st.tuples(strategies.definitions.map(lambda drawn: [drawn]), strategies.logs()),
    "conditions that differ in little": st.tuples(strategies.telling().map(lambda drawn: [drawn]), strategies.logs()),
    "families": st.tuples(strategies.families(), strategies.logs()),
    "chains": st.tuples(strategies.chains(), strategies.logs()),
    "dense": st.tuples(dense.dense_definitions, dense.dense_logs),
}
SQL_THEMES = THEMES | _ANY
"""By name: each drawn theme is a user with a log, and definitions of the segments 1, 2, ..."""

USERS = 6


def questions(name: str) -> st.SearchStrategy[Question]:
    """Questions of a theme. Every definition is asked of all users."""
    themes = st.lists(SQL_THEMES[name], min_size=USERS, max_size=USERS)
    return st.tuples(themes, st.lists(st.integers(0, 10_000), min_size=USERS, max_size=USERS))


def check_previews(question: Question) -> None:
    """Previews count the oracle's members and name them, and nothing of another tenant's with equal user ids."""
    themes, chosen = question
    logs = [log for _, log in themes]
    connection = archived(logs, [*logs[1:], logs[0]])
    for (definitions, log), choice in zip(themes, chosen, strict=True):
        segments, as_of = dict(enumerate(definitions, 1)), _instant(definitions, log, choice)
        for definition in definitions[:2]:
            users = expected(definition, logs, as_of, segments)
            found = previewed(connection, definition, as_of, segments)
            assert (found.users, found.matched) == (users, len(users))


def check_all_statements(question: Question) -> None:
    """All statements about a definition say the same, and so does the text that is shown."""
    themes, chosen = question
    logs = [log for _, log in themes]
    connection = archived(logs)
    (definitions, log), definition = themes[0], themes[0][0][0]
    segments, as_of = dict(enumerate(definitions, 1)), _instant(definitions, log, chosen[0])
    users = expected(definition, logs, as_of, segments)
    found = previewed(connection, definition, as_of, segments)
    assert members(connection, definition, as_of, segments) == found.users == users
    assert read_again(connection, definition, as_of, segments) == found
    assert previewed(connection, definition, as_of, segments, limit=2).users == users[:2]
    known = len(expected(_ANYBODY, logs, as_of))
    assert estimated(connection, definition, as_of, 1, segments) == (len(users), known)
    matched, sampled = estimated(connection, definition, as_of, 2, segments)
    assert matched <= min(sampled, len(users))
    assert sampled <= known


_ANYBODY = alone([{"type": "event_count", "event_type": "nothing", "operator": "eq", "value": 0}])[0]


def _instant(definitions: list[dict[str, Any]], log: Sequence[Event], choice: int) -> int:
    found = instants(definitions, log)
    return found[choice % len(found)]
