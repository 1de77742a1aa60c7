"""What is archived: which topic, into which table, and what each of its messages is there."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Generic, NamedTuple

import msgspec
from confluent_kafka import Message

from services.exporter.settings import ExporterSettings
from shared.contracts.change import SCHEMA_VERSION, decode_change
from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import checked_key
from shared.contracts.topics import EVENTS, MEMBERSHIP_CHANGES
from shared.domain.errors import InvalidEvent
from shared.history import schema
from shared.history.address import HistoryAddress
from shared.history.change_rows import ChangeRow, change_row_of
from shared.history.private_index import MarkT, RowT
from shared.history.rows import Mark, Row, row_of
from shared.history.writer import ChangeWriter, HistoryWriter, TableWriter
from shared.runtime import metrics

log = logging.getLogger(__name__)


class Unarchivable(Exception):  # noqa: N818 - it names the thing
    """Stop archiving: the log does not have what comes next, or has what cannot be read here. The text says what to
    do.
    """


class Archive(NamedTuple, Generic[RowT, MarkT]):
    """A topic and its table.

    name: of the table, and of what its rows are. row_of: the row that a message makes; None: it is passed over; raises
    Unarchivable. writer: of the log with this id.
    """

    name: str
    topic: str
    group: str
    interval_s: float
    row_of: Callable[[Message], RowT | None]
    writer: Callable[[str], TableWriter[RowT, MarkT]]


def events(settings: ExporterSettings) -> Archive[Row, Mark]:
    """The events, each with its mark."""
    address = HistoryAddress.of(settings.history, schema.EVENTS)
    return Archive(
        schema.EVENTS.name,
        EVENTS,
        settings.archive_group,
        settings.archive_interval_s,
        partial(event_row, partitions=settings.partitions),
        lambda log_epoch: HistoryWriter(address, log_epoch),
    )


def changes(settings: ExporterSettings) -> Archive[ChangeRow, bool]:
    """The membership changes, each with its position."""
    address = HistoryAddress.of(settings.history, schema.CHANGES)
    return Archive(
        schema.CHANGES.name,
        MEMBERSHIP_CHANGES,
        settings.changes_group,
        settings.changes_interval_s,
        change_row,
        lambda log_epoch: ChangeWriter(address, log_epoch),
    )


def event_row(message: Message, partitions: int) -> Row | None:
    """The row of an event; None for a message that the evaluator puts aside as a dead letter."""
    partition, offset = _place(message)
    try:
        event = decode_event(message.value() or b"")
        known = to_event(event, _sent_us(message), offset)
        checked_key(message.key(), event.tenant, event.user_id, partition, partitions)
    except InvalidEvent:
        return None
    return row_of(event.tenant, known, partition)


def change_row(message: Message) -> ChangeRow | None:
    """The row of a change; None for what is none, which nobody of ours sends. Raises Unarchivable."""
    partition, offset = _place(message)
    try:
        change = decode_change(message.value() or b"")
    except (msgspec.MsgspecError, UnicodeError) as fault:
        metrics.ARCHIVE_PASSED_OVER.inc()
        log.warning("partition %d of %s: offset %d is no change: %s", partition, MEMBERSHIP_CHANGES, offset, fault)
        return None
    if change.schema_version > SCHEMA_VERSION:
        raise Unarchivable(
            f"offset {offset} of partition {partition} of {MEMBERSHIP_CHANGES} has schema_version "
            f"{change.schema_version}, newer than {SCHEMA_VERSION}, which we read: bring the exporter up to date"
        )
    return change_row_of(change, partition, offset, _sent_us(message))


def _place(message: Message) -> tuple[int, int]:
    return message.partition() or 0, message.offset() or 0


def _sent_us(message: Message) -> int:
    return message.timestamp()[1] * 1000
