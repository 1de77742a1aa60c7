"""C5: the event history holds every usable event of the log exactly once, and answers as the oracle does."""

from collections.abc import Iterator
from contextlib import closing

from shared.domain.definition import parse_definition
from shared.history.address import HistoryAddress
from shared.history.compile_sql import members_sql
from shared.history.engine import Engine, fetch
from shared.history.snapshot import Snapshot
from tests.fault.world import World
from tests.support import history_check
from tests.support.evaluators import wait_for
from tests.support.stream import TENANT, Membership
from tests.support.truth import differences

ARCHIVED_S = 90


def wrong_history(world: World, expected: Membership, as_of: int) -> Iterator[str]:
    """What is missing, doubled or different; then who is not a member by it at `as_of`, or is one too much."""
    snapshot = wait_for(lambda: _archived(world), ARCHIVED_S, "all is archived")
    yield from wrong_rows(world, snapshot)
    yield from (f"history: {line}" for line in differences(expected, _members(world, snapshot, as_of)))


def wrong_rows(world: World, snapshot: Snapshot | None = None) -> Iterator[str]:
    """What is missing, doubled or different of the events up to where the history, as it is now, says it reaches."""
    found = history_check.differences(world.stream, snapshot or _snapshot(world))
    yield from (f"history: {line}" for line in found)


def _archived(world: World) -> Snapshot | None:
    """The history, when all that is in the log now has come to it."""
    snapshot = _snapshot(world)
    return snapshot if history_check.is_complete(world.stream, snapshot) else None


def _snapshot(world: World) -> Snapshot:
    return history_check.snapshot_of(world.stream, HistoryAddress.of(str(world.history)))


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
