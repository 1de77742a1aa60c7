"""Rows of the history: made of events, and put into columns."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from shared.domain.event import Event
from shared.domain.times import DAY_US, SECOND_US
from shared.history.payload_text import payload_text
from shared.history.schema import EVENTS


class Row(NamedTuple):
    """What one event gives by itself; instants are microseconds since 1970 (UTC)."""

    tenant: int
    user_id: str
    event_type: str
    occurred_at: int
    received_at: int
    event_id: str | None
    payload: str
    partition: int
    offset: int


class Mark(NamedTuple):
    """What a row is beside the earlier ones of its user: columns of the same names."""

    is_repeat: bool
    makes_known: bool


def row_of(tenant: int, event: Event, partition: int) -> Row:
    """The row of a tenant's event."""
    return Row(
        tenant,
        event.user_id,
        event.event_type,
        event.occurred_at,
        event.received_at,
        event.event_id,
        payload_text(event.payload),
        partition,
        event.offset,
    )


def table_of(rows: Sequence[Row], marks: Sequence[Mark], log_epoch: str) -> pa.Table:
    """The rows of one log, in their order, in the columns of the history."""
    columns = columns_of(rows, Row)
    repeats, known = zip(*marks, strict=True) if marks else ((), ())
    months = list(map(month_of, columns[4]))
    values = [*columns[:7], [log_epoch] * len(rows), *columns[7:], repeats, months, known]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(values, EVENTS.columns, strict=True)],
        schema=EVENTS.columns,
    )


def columns_of(rows: Sequence[tuple[Any, ...]], kind: type[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The fields of rows of one kind of NamedTuple, each as a column."""
    return list(zip(*rows, strict=True)) or [()] * len(kind._fields)  # type: ignore[attr-defined] # of a NamedTuple


def month_of(received_at: int) -> str:
    """`YYYY-MM` of an instant."""
    day = received_at // DAY_US
    month = _months.get(day)
    if month is None:
        month = _months[day] = datetime.fromtimestamp(day * (DAY_US // SECOND_US), UTC).strftime("%Y-%m")
    return month


_months: dict[int, str] = {}
"""By the day since 1970: the rows of a batch have few days."""
