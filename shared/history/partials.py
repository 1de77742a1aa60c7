"""Partials from the history: what the kernel would hold of each user after folding the events below a cutover."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import duckdb

from shared.domain.user_state import Partial
from shared.history.arrow_columns import integers, texts
from shared.history.known_users import KnownUsers, Range
from shared.history.partial_kinds import Read, gathered
from shared.history.rows_by_user import RowsByUser
from shared.history.want import Want

BATCH = 8_192
"""Users read at a time."""
MEMORY_SHARE = 0.4
"""Of the memory limit of DuckDB, what the partials of one pass may take in it; the rest is for reading files."""

_UNITS = {"bytes": 1, **{f"{letter}iB": 1 << 10 * power for power, letter in enumerate("KMGT", 1)}}


class Found(NamedTuple):
    """The partials of one user, by index of the wants; None: no event counts."""

    partition: int
    user_id: str
    partials: list[Partial | None]


def partials_of(
    cursor: duckdb.DuckDBPyConnection, tenant: int, log_epoch: str, wants: Sequence[Want], as_of_us: int
) -> Iterator[list[Found]]:
    """For every user with events of a wanted type, the partials of all wants; each user once, in no certain order.

    A partial may hold more than the kernel would, never less. Memory is bounded by passes over ranges of user ids,
    by which the files are sorted within an event type; a pass that needs too much nevertheless is divided.

    Args:
        cursor: with the relation `events`; nothing else may use it until the last batch is read.
        tenant: whose events.
        log_epoch: the topic id of `events`; rows of another one do not count.
        wants: aggregates with their cutovers.
        as_of_us: an instant not later than any evaluation to come.

    Raises:
        duckdb.Error: a file cannot be read, the cursor was interrupted, or memory is short for a few users alone.
    """
    if not wants:
        return
    rows = RowsByUser(tenant, log_epoch, wants)
    reads = [gathered(want, rows, as_of_us) for want in wants]
    known = KnownUsers(cursor, tenant, sorted({partition for want in wants for partition in want.below}))
    needed = rows.needed_bytes(known.count(), _rows_by_type(cursor, tenant) if rows.has_lists else {})
    pending = known.divided(Range(None, None), math.ceil(needed / _allowed_bytes(cursor)))
    while pending:
        one = pending.pop()
        try:
            batches = _found(cursor, rows, reads, one)
            first = next(batches, None)
        except duckdb.OutOfMemoryException:
            pending += _halves(one, known)
            continue
        if first is not None:
            yield first
            yield from batches


def _found(
    cursor: duckdb.DuckDBPyConnection, rows: RowsByUser, reads: list[Read], users: Range
) -> Iterator[list[Found]]:
    statement = rows.statement(users)
    with cursor.sql(statement.sql, params=statement.parameters).to_arrow_reader(BATCH) as reader:
        for batch in reader:
            partials = map(list, zip(*(read(batch) for read in reads), strict=True))
            partitions, user_ids = integers(batch.column("log_partition")), texts(batch.column("user_id"))
            yield list(map(Found, partitions, user_ids, partials))


def _rows_by_type(cursor: duckdb.DuckDBPyConnection, tenant: int) -> dict[str, int]:
    counted = "SELECT event_type, count(*) FROM events WHERE tenant = $tenant GROUP BY event_type"
    return dict(cursor.sql(counted, params={"tenant": tenant}).fetchall())


def _allowed_bytes(cursor: duckdb.DuckDBPyConnection) -> float:
    """What a pass may take."""
    ((limit,),) = cursor.sql("SELECT current_setting('memory_limit')").fetchall()
    number, unit = limit.split()
    return MEMORY_SHARE * float(number) * _UNITS[unit]


def _halves(users: Range, known: KnownUsers) -> list[Range]:
    """A range that needs too much memory as two. Raises duckdb.OutOfMemoryException when no sampled user divides it."""
    halves = known.divided(users, 2)
    if len(halves) == 1:
        raise duckdb.OutOfMemoryException("too little memory for the partials of a few users")
    return halves
