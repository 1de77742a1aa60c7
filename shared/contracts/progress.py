"""Progress reports (topic `progress`, key = segment or export id): what evaluator and exporter tell the api.

The api applies a report once per (`kind`, `id`, `outbox_id`, `partition`, `status`); repeats are normal. Only that an
export is `running` is reported again and again, and applied each time.
"""

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

NO_PARTITION = -1
"""`partition` of a report that is about a whole request, not about one partition."""


class ExportedFile(msgspec.Struct, frozen=True):
    """The file of a complete export.

    `name` is its path in the place for exports, `size` its bytes, `sha256` in hexadecimal. It holds the members at
    `as_of_us`, and may be removed from `expires_at_us` on: both microseconds since 1970.
    """

    name: str
    size: int
    sha256: str
    as_of_us: int
    expires_at_us: int


class Progress(msgspec.Struct, frozen=True):
    """One report.

    Of a compute (`kind` segment): `ready` = the computing version has all it needs in this partition, and
    `cutover` is the first offset it counts; `switched` = every user of the partition now has the answer of the
    wish numbered `outbox_id`; `failed` with `error`.
    Of an export (`kind` export): `running` with the `row_count` so far and, in `detail`, what it waits for, if it
    does; `complete` with all rows and the `file`; `failed` with `error`.
    """

    kind: Literal["segment", "export"]
    id: int
    outbox_id: int
    status: Literal["ready", "switched", "running", "complete", "failed"]
    version: int | None = None
    partition: int = NO_PARTITION
    cutover: int | None = None
    error: str | None = None
    row_count: int | None = None
    detail: str | None = None
    file: ExportedFile | None = None
    schema_version: int = SCHEMA_VERSION


def progress_key(report: Progress) -> bytes:
    """The message key of a report."""
    return str(report.id).encode()


_decoder = msgspec.json.Decoder(Progress)


def encode_progress(report: Progress) -> bytes:
    """The JSON of a report."""
    return msgspec.json.encode(report)


def decode_progress(value: bytes) -> Progress:
    """A report from its JSON. Raises msgspec.MsgspecError when it is none of ours."""
    return _decoder.decode(value)
