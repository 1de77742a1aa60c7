"""Export requests (topic `export-requests`, key = export id): the api asks the exporter for a file."""

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

ExportFormat = Literal["parquet", "csv", "jsonl"]


class ExportRequest(msgspec.Struct, frozen=True):
    """One wished file: the members of a segment in a format."""

    export_id: int
    outbox_id: int
    tenant: int
    segment_id: int
    format: ExportFormat
    schema_version: int = SCHEMA_VERSION


_decoder = msgspec.json.Decoder(ExportRequest)


def export_request_key(export_id: int) -> bytes:
    """The message key of a request."""
    return str(export_id).encode()


def encode_export_request(request: ExportRequest) -> bytes:
    """The JSON of a request."""
    return msgspec.json.encode(request)


def decode_export_request(value: bytes) -> ExportRequest:
    """A request from its JSON. Raises msgspec.MsgspecError when it is none of ours."""
    return _decoder.decode(value)
