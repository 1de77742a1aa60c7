"""Partials from the history beside the kernel's, for tests."""

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from shared.domain.event import Event
from shared.domain.plan import Plan, SlotPlan
from shared.domain.user_state import Partial
from shared.history.partials import Found, partials_of
from shared.history.want import Want
from tests.support.archived import LOG_EPOCH, Owned, table_of_events

TENANT = 7


def opened(events: Iterable[Owned], partitions: int = 1, log_epoch: str = LOG_EPOCH) -> duckdb.DuckDBPyConnection:
    """A connection with the relation `events`."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("events", table_of_events(events, partitions, log_epoch))
    return connection


def want_of(slot: SlotPlan, below: Mapping[int, int]) -> Want:
    """What a backfill asks for the sake of a slot."""
    return Want(slot.aggregate, slot.windows, slot.newest, below)


def found_of(connection: duckdb.DuckDBPyConnection, wants: Sequence[Want], as_of: int) -> dict[str, Found]:
    """By user what the history has for the wants; each user once."""
    found: dict[str, Found] = {}
    for batch in partials_of(connection, TENANT, LOG_EPOCH, wants, as_of):
        for one in batch:
            assert one.user_id not in found
            found[one.user_id] = one
    return found


def partials_below(plan: Plan, log: Sequence[Event], below: int, as_of: int) -> dict[str, Partial]:
    """By slot the partials that the history has of the one user of a log."""
    slots = list(plan.slots.values())
    wants = [want_of(slot, {0: below}) for slot in slots]
    with opened((TENANT, event) for event in log) as connection:
        found = found_of(connection, wants, as_of)
    partials = found[log[0].user_id].partials if found else [None] * len(slots)
    return {slot.key: partial for slot, partial in zip(slots, partials, strict=True) if partial is not None}
