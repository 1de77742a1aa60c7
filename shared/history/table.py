"""A Delta table of the history: opening it, its numbers, and committing to it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from shared.history.address import HistoryAddress
from shared.history.errors import HistoryUnavailable
from shared.history.schema import TableSchema
from shared.runtime.address import told

_SETTINGS = {
    # a commit reads the ones since the last checkpoint
    "delta.checkpointInterval": "20",
    "delta.enableExpiredLogCleanup": "true",
}


class Conflict(Exception):  # noqa: N818 - it names the thing
    """Retry with a fresh handle: another commit has changed what this one is about."""


class Position(NamedTuple):
    """How far a partition of a log is archived: every usable message below `next_offset` is in the table.

    `received_at` is that of the last message archived or passed over, in microseconds; -1 with none.
    """

    next_offset: int
    received_at: int


@contextmanager
def clear_faults(address: HistoryAddress) -> Iterator[None]:
    """Give whatever storage and its libraries raise as HistoryUnavailable."""
    try:
        yield
    except (DeltaError, OSError, ValueError) as fault:
        raise HistoryUnavailable(f"history at {address.uri}: {told(fault)}") from fault


def open_table(address: HistoryAddress) -> DeltaTable | None:
    """A fresh handle, or None where no table is yet. Raises what deltalake raises."""
    try:
        return DeltaTable(address.table.uri, storage_options=address.options)
    except TableNotFoundError:
        return None


def create_table(address: HistoryAddress) -> DeltaTable:
    """A fresh handle; the table is made if there is none. Raises what deltalake raises."""
    table = open_table(address)
    if table is not None:
        return table
    if address.folder is not None:
        address.folder.mkdir(parents=True, exist_ok=True)
    try:
        return DeltaTable.create(
            address.table.uri,
            address.schema.columns,
            mode="error",
            partition_by=list(address.schema.partition_by),
            configuration={
                **_SETTINGS,
                "delta.logRetentionDuration": address.schema.kept,
                "delta.deletedFileRetentionDuration": address.schema.kept,
            },
            storage_options=address.options,
        )
    except DeltaError:
        if (table := open_table(address)) is None:
            raise
        return table  # another process was first


def position(table: DeltaTable, schema: TableSchema, log_epoch: str, partition: int) -> Position | None:
    """How far a partition is archived; None if nothing of it ever was."""
    next_offset = table.transaction_version(_next_offset_id(schema, log_epoch, partition))
    if next_offset is None:
        return None
    received_at = table.transaction_version(_received_id(log_epoch, partition))
    return Position(next_offset, -1 if received_at is None else received_at)


def numbers(schema: TableSchema, log_epoch: str, positions: Mapping[int, Position]) -> dict[str, int]:
    """The numbers that a commit carries to say so."""
    return {
        name: number
        for partition, at in positions.items()
        for name, number in (
            (_next_offset_id(schema, log_epoch, partition), at.next_offset),
            (_received_id(log_epoch, partition), at.received_at),
        )
    }


def commit(table: DeltaTable, actions: Sequence[AddAction | RemoveAction], numbers: Mapping[str, int]) -> None:
    """Commit on the handle on which the numbers were read, once: afterwards it is stale.

    deltalake does not check the numbers themselves, but two commits on handles of one version whose numbers have a
    name in common exclude each other. It does not notice that a file is removed twice: whoever removes needs a number.

    Raises:
        Conflict: another commit with one of these numbers was first.
    """
    transactions = [Transaction(name, number) for name, number in numbers.items()]
    try:
        table.create_write_transaction(
            list(actions),
            "append",
            table.schema(),
            table.metadata().partition_columns,
            commit_properties=CommitProperties(app_transactions=transactions),
        )
    except CommitFailedError as fault:
        raise Conflict(told(fault)) from fault


def _next_offset_id(schema: TableSchema, log_epoch: str, partition: int) -> str:
    return f"{schema.name}/{log_epoch}/{partition}"


def _received_id(log_epoch: str, partition: int) -> str:
    return f"received/{log_epoch}/{partition}"
