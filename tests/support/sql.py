"""Definitions asked of the history in SQL, for many users at once, beside what the oracle says of each."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import duckdb
from msgspec.structs import replace

from shared.domain.condition import Definition
from shared.domain.definition import parse_definition
from shared.domain.event import Event
from shared.history import compile_sql
from tests.support import oracle
from tests.support.archived import table_of_events
from tests.support.served import with_references

Json = dict[str, Any]
Logs = Sequence[Sequence[Event]]
Asked = tuple[Definition, int, int, dict[int, Definition]]
"""The arguments that all statements have."""

TENANT, OTHER = 7, 8


class Preview(NamedTuple):
    """The row of a preview."""

    matched: int
    users: list[str]
    scanned: int


def user_of(number: int) -> str:
    """The id of the user with the log of this number; in the order of the numbers."""
    return f"user-{number:03d}"


def archived(logs: Logs, others: Logs = ()) -> duckdb.DuckDBPyConnection:
    """A connection whose `events` hold the logs, each of a user of its own, and another tenant's of equal user ids."""
    owned = [(TENANT, event) for event in _placed(logs)] + [(OTHER, event) for event in _placed(others)]
    connection = _connection().cursor()
    table = table_of_events(owned, partitions=1)
    connection.register("rows", table)
    connection.execute("CREATE OR REPLACE TEMP TABLE events AS FROM rows")
    return connection


def previewed(
    connection: duckdb.DuckDBPyConnection,
    definition: Json,
    as_of: int,
    segments: Mapping[int, Json] | None = None,
    limit: int = 1_000,
) -> Preview:
    """What a preview says."""
    statement = compile_sql.preview_statement(*_asked(definition, as_of, segments), limit)
    return Preview(*_one(connection.execute(*statement)))


def read_again(
    connection: duckdb.DuckDBPyConnection, definition: Json, as_of: int, segments: Mapping[int, Json] | None = None
) -> Preview:
    """What a preview says when it is asked by the text that is shown to people."""
    statement = compile_sql.preview_statement(*_asked(definition, as_of, segments), 1_000)
    return Preview(*_one(connection.execute(compile_sql.readable(statement))))


def estimated(
    connection: duckdb.DuckDBPyConnection,
    definition: Json,
    as_of: int,
    one_in: int,
    segments: Mapping[int, Json] | None = None,
) -> tuple[int, int]:
    """How many members and how many users an estimate has found among one in so many."""
    statement = compile_sql.estimate_statement(*_asked(definition, as_of, segments), one_in)
    matched, users = _one(connection.execute(*statement))
    return matched, users


def members(
    connection: duckdb.DuckDBPyConnection, definition: Json, as_of: int, segments: Mapping[int, Json] | None = None
) -> list[str]:
    """The members, sorted."""
    statement = compile_sql.members_sql(*_asked(definition, as_of, segments))
    return sorted(user_id for (user_id,) in connection.execute(*statement).fetchall())


def expected(definition: Json, logs: Logs, as_of: int, segments: Mapping[int, Json] | None = None) -> list[str]:
    """The members as the oracle has them; who is not known is none."""
    asked = with_references(definition, segments or {})
    counted = [[event for event in oracle.counted(log) if event.occurred_at <= as_of] for log in logs]
    return [user_of(number) for number, log in enumerate(counted) if log and oracle.member(asked, log, as_of)]


def instants(definitions: Iterable[Json], log: Sequence[Event]) -> list[int]:
    """All instants at which an answer may turn, with a microsecond on either side."""
    turns = {event.occurred_at for event in log} | {log[-1].received_at}
    turns |= {turn for definition in definitions for turn in oracle.candidates(definition, log)}
    return sorted({turn + more for turn in turns for more in (-1, 0, 1)})


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _placed(logs: Logs) -> Iterable[Event]:
    """The events of all users in one partition; of each user in its order."""
    ends = 0
    for number, log in enumerate(logs):
        for event in log:
            yield replace(event, user_id=user_of(number), offset=ends + event.offset)
        ends += log[-1].offset + 1 if log else 0


def _asked(definition: Json, as_of: int, segments: Mapping[int, Json] | None) -> Asked:
    others = {segment_id: parse_definition(raw) for segment_id, raw in (segments or {}).items()}
    return parse_definition(definition), TENANT, as_of, others


def _one(found: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    (row,) = found.fetchall()
    return row
