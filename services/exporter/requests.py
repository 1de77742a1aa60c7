"""Messages of `export-requests` and the answers to them: values for values, no I/O."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from shared.contracts.dead_letter import dead_letter_headers
from shared.contracts.export_request import SCHEMA_VERSION, ExportRequest, decode_export_request
from shared.contracts.progress import Progress, encode_progress, progress_key
from shared.contracts.topics import DEAD_LETTERS, PROGRESS


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


class NoRequest(Exception):  # noqa: N818 - it names the thing
    """Dead-letter: the message is no request. The text says why."""


def read_request(record: Record) -> ExportRequest:
    """The request of a message. Raises NoRequest."""
    if record.value is None:
        raise NoRequest("not an export request: no value")
    try:
        request = decode_export_request(record.value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        raise NoRequest(f"not an export request: {fault}") from fault
    if request.schema_version > SCHEMA_VERSION:
        raise NoRequest(f"schema_version {request.schema_version} is newer than {SCHEMA_VERSION}, which we read")
    return request


def dead_letter(record: Record, reason: NoRequest) -> Outgoing:
    """The message as it was, with the reason."""
    headers = dead_letter_headers(record.topic, record.partition, record.offset, str(reason), record.headers)
    return Outgoing(DEAD_LETTERS, record.key, record.value, headers)


def report(request: ExportRequest, status: str, **more: Any) -> Outgoing:
    """What there is to tell of an export: fields of `Progress`."""
    progress = Progress("export", request.export_id, request.outbox_id, status, **more)  # type: ignore[arg-type]
    return Outgoing(PROGRESS, progress_key(progress), encode_progress(progress), [])
