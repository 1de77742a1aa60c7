"""C5: the event history holds every usable event of the log exactly once, and answers as the oracle does."""

import contextlib
from collections.abc import Iterator
from typing import Any

import duckdb
from confluent_kafka.admin import AdminClient

from shared.contracts.event import decode_event, to_event
from shared.contracts.topics import EVENTS
from shared.domain.definition import parse_definition
from shared.domain.errors import InvalidEvent
from shared.history.address import HistoryAddress
from shared.history.compile_sql import members_sql
from shared.history.engine import Engine
from shared.history.rows import row_of
from shared.history.snapshot import HistoryReader, Snapshot
from shared.runtime.kafka import topic_id
from tests.fault.world import World
from tests.support.evaluators import wait_for
from tests.support.stream import TENANT, Membership
from tests.support.truth import differences

ARCHIVED_S = 90
_COLUMNS = "tenant, user_id, event_type, epoch_us(occurred_at), epoch_us(received_at), event_id, payload"


def wrong_history(world: World, expected: Membership, as_of: int) -> Iterator[str]:
    """What is missing, doubled or different; then who is not a member by it at `as_of`, or is one too much."""
    snapshot, wanted = archived(world), set(_usable(world))
    with _session(world, snapshot) as session:
        rows = _rows(session)
        yield from (f"history: lacks {row}" for row in sorted(wanted - set(rows), key=_place)[:10])
        yield from _too_much(rows, wanted)
        yield from (f"history: {line}" for line in differences(expected, _members(world, session, as_of)))


def too_much_in_history(world: World) -> Iterator[str]:
    """What is doubled or not in the log, as it is now: what is missing may come yet."""
    snapshot = _reader(world).snapshot(_log_epoch(world))
    with _session(world, snapshot) as session:
        rows = _rows(session)
    yield from _too_much(rows, set(_usable(world)))


def archived(world: World) -> Snapshot:
    """The history when all that is in the log now has come to it."""
    reader = _reader(world)
    log_epoch, ends = _log_epoch(world), world.stream.end_offsets()

    def is_done() -> Snapshot | None:
        snapshot = reader.snapshot(log_epoch)
        return snapshot if all(snapshot.next_offsets.get(p, 0) >= end for p, end in ends.items()) else None

    return wait_for(is_done, ARCHIVED_S, "all is archived")


def _reader(world: World) -> HistoryReader:
    return HistoryReader(HistoryAddress.of(str(world.history)), world.stream.partitions)


def _log_epoch(world: World) -> str:
    return topic_id(AdminClient({"bootstrap.servers": world.stream.bootstrap, "log_level": 0}), EVENTS)


@contextlib.contextmanager
def _session(world: World, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    engine = Engine([world.history], world.history.parent, memory_mb=500, threads=2)
    try:
        with engine.session(snapshot.files) as session:
            yield session
    finally:
        engine.close()


Place = tuple[int, int]


def _rows(session: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return session.execute(f"SELECT {_COLUMNS}, log_partition, log_offset FROM events").fetchall()


def _usable(world: World) -> Iterator[tuple[Any, ...]]:
    for message in world.stream.read("events", world.stream.partitions):
        try:
            decoded = decode_event(message.value() or b"")
            event = to_event(decoded, message.timestamp()[1] * 1000, message.offset() or 0)
        except InvalidEvent:
            continue
        yield tuple(row_of(decoded.tenant, event, message.partition() or 0))


def _too_much(rows: list[tuple[Any, ...]], wanted: set[tuple[Any, ...]]) -> Iterator[str]:
    if len(rows) != len(places := set(map(_place, rows))):
        yield f"history: {len(rows)} rows of {len(places)} offsets"
    yield from (f"history: has {row}, which the log has not" for row in sorted(set(rows) - wanted, key=_place)[:10])


def _place(row: tuple[Any, ...]) -> Place:
    return row[-2], row[-1]


def _members(world: World, session: duckdb.DuckDBPyConnection, as_of: int) -> Membership:
    parsed = {segment_id: parse_definition(definition) for segment_id, definition in world.segments.items()}
    found: Membership = {}
    for segment_id, definition in parsed.items():
        statement = members_sql(definition, TENANT, as_of, parsed)
        if users := {user_id for (user_id,) in session.execute(statement.sql, statement.parameters).fetchall()}:
            found[segment_id] = users
    return found
