"""C5: the history holds every usable event and every change exactly once, and answers as the oracle does."""

from collections.abc import Iterator
from contextlib import closing

from shared.domain.definition import parse_definition
from shared.history.address import HistoryAddress
from shared.history.compile_sql import members_sql
from shared.history.engine import Engine, fetch
from shared.history.schema import CHANGES, EVENTS, TableSchema
from shared.history.snapshot import Snapshot
from tests.fault.world import World
from tests.support import history_check
from tests.support.changes_check import change_differences
from tests.support.evaluators import wait_for
from tests.support.stream import TENANT, Membership
from tests.support.truth import differences

ARCHIVED_S = 90


def wrong_history(world: World, expected: Membership, as_of: int) -> Iterator[str]:
    """What is missing, doubled or different; then who is not a member by it at `as_of`, or is one too much."""
    snapshot = wait_for(lambda: _archived(world, EVENTS), ARCHIVED_S, "all is archived")
    yield from wrong_rows(world, snapshot)
    changes = wait_for(lambda: _archived(world, CHANGES), ARCHIVED_S, "all changes are archived")
    yield from (f"history: {line}" for line in change_differences(world.stream, changes))
    yield from (f"history: {line}" for line in differences(expected, _members(world, snapshot, as_of)))


def wrong_rows(world: World, snapshot: Snapshot | None = None) -> Iterator[str]:
    """What is missing, doubled or different of the events up to where the history, as it is now, says it reaches."""
    found = history_check.differences(world.stream, snapshot or _snapshot(world, EVENTS))
    yield from (f"history: {line}" for line in found)


def _archived(world: World, table: TableSchema) -> Snapshot | None:
    """A table of the history, when all that is in its log now has come to it."""
    snapshot = _snapshot(world, table)
    return snapshot if history_check.is_complete(world.stream, snapshot, table) else None


def _snapshot(world: World, table: TableSchema) -> Snapshot:
    return history_check.snapshot_of(world.stream, HistoryAddress.of(str(world.history), table))


def _members(world: World, snapshot: Snapshot, as_of: int) -> Membership:
    parsed = {segment_id: parse_definition(definition) for segment_id, definition in world.segments.items()}
    found: Membership = {}
    engine = Engine([world.history], world.history.parent, memory_mb=500, threads=2)
    with closing(engine), engine.session(snapshot.files) as session:
        for segment_id, definition in parsed.items():
            statement = members_sql(definition, TENANT, as_of, parsed)
            if users := {user_id for (user_id,) in fetch(session, statement)}:
                found[segment_id] = users
    return found
