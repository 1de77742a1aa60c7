"""Rows of the table of changes: made of membership changes, and put into columns."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from shared.contracts.change import Change
from shared.history.rows import columns_of, month_of
from shared.history.schema import CHANGES


class ChangeRow(NamedTuple):
    """What one change gives by itself; instants are microseconds since 1970 (UTC)."""

    tenant: int
    segment_id: int
    version: int
    user_id: str
    change: str
    at_us: int
    reason: str
    generation: int
    sequence: int
    partition: int
    offset: int
    sent_us: int


def change_row_of(change: Change, partition: int, offset: int, sent_us: int) -> ChangeRow:
    """The row of a change at its place in the log."""
    return ChangeRow(
        change.tenant,
        change.segment_id,
        change.version,
        change.user_id,
        change.change,
        change.at_us,
        change.reason,
        change.generation,
        change.sequence,
        partition,
        offset,
        sent_us,
    )


def changes_table(rows: Sequence[ChangeRow], first: int, log_epoch: str) -> pa.Table:
    """The changes of one log, with positions from `first` on in their order, in the columns of the history."""
    columns = columns_of(rows, ChangeRow)
    months = list(map(month_of, columns[-1]))
    epochs = [log_epoch] * len(rows)
    values = [range(first, first + len(rows)), *columns[:9], epochs, *columns[9:11], months]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(values, CHANGES.columns, strict=True)],
        schema=CHANGES.columns,
    )
