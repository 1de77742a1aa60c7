"""The answer to a message of `export-requests`: a value for a value, no I/O."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from shared.contracts.dead_letter import dead_letter_headers
from shared.contracts.export_request import SCHEMA_VERSION, ExportRequest, decode_export_request
from shared.contracts.progress import Progress, encode_progress, progress_key
from shared.contracts.topics import DEAD_LETTERS, PROGRESS

NOT_AVAILABLE = "exports are not available yet"


class Record(Protocol):
    """A message as a consumer gives it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...


class Outgoing(NamedTuple):
    """A message to produce."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def answer(record: Record) -> Outgoing:
    """A report on `progress` for a request, a dead letter for what is none."""
    try:
        request = _request(record.value)
    except ValueError as fault:
        headers = dead_letter_headers(record.topic, record.partition, record.offset, str(fault), record.headers)
        return Outgoing(DEAD_LETTERS, record.key, record.value, headers)
    report = Progress(
        kind="export", id=request.export_id, outbox_id=request.outbox_id, status="failed", error=NOT_AVAILABLE
    )
    return Outgoing(PROGRESS, progress_key(report), encode_progress(report), [])


def _request(value: bytes | None) -> ExportRequest:
    """The request. Raises ValueError saying why there is none."""
    if value is None:
        raise ValueError("not an export request: no value")
    try:
        request = decode_export_request(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        raise ValueError(f"not an export request: {fault}") from fault
    if request.schema_version > SCHEMA_VERSION:
        raise ValueError(f"schema_version {request.schema_version} is newer than {SCHEMA_VERSION}, which we read")
    return request
