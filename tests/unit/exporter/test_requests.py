"""What the exporter answers: reports under the export's own id, a dead letter with the reason to what is no request."""

from typing import NamedTuple

import pytest

from services.exporter.requests import NoRequest, dead_letter, read_request, report
from shared.contracts.dead_letter import RESENT_FROM, read_dead_letter_headers
from shared.contracts.export_request import ExportRequest, encode_export_request, export_request_key
from shared.contracts.progress import Progress, decode_progress


class Message(NamedTuple):
    """A message as a consumer gives it."""

    key: bytes | None
    value: bytes | None
    topic: str = "export-requests"
    partition: int = 2
    offset: int = 17
    headers: tuple[tuple[str, bytes], ...] = ((RESENT_FROM, b"3:4"),)


def test_a_request_is_answered_under_its_own_key() -> None:
    request = ExportRequest(export_id=8, outbox_id=21, tenant=1, segment_id=5, format="csv")
    assert read_request(Message(export_request_key(8), encode_export_request(request))) == request
    given = report(request, "failed", error="why")
    assert (given.topic, given.key, given.headers) == ("progress", b"8", [])
    assert given.value is not None
    assert decode_progress(given.value) == Progress("export", 8, 21, "failed", error="why")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "not an export request"),
        (b"\xff\xfe", "not an export request"),
        (b'{"export_id": 8', "not an export request"),
        (b"[" * 5000, "not an export request"),
        (b'{"export_id": "8", "outbox_id": 1, "tenant": 1, "segment_id": 5, "format": "csv"}', "$.export_id"),
        (b'{"export_id": 8, "outbox_id": 1, "tenant": 1, "segment_id": 5, "format": "xls"}', "$.format"),
        (
            b'{"export_id": 8, "outbox_id": 1, "tenant": 1, "segment_id": 5, "format": "csv", "schema_version": 2}',
            "schema_version 2 is newer than 1",
        ),
    ],
)
def test_what_is_no_request_becomes_a_dead_letter_with_its_bytes_and_the_reason(
    value: bytes | None, reason: str
) -> None:
    message = Message(b"8", value)
    with pytest.raises(NoRequest) as raised:
        read_request(message)
    given = dead_letter(message, raised.value)
    assert (given.topic, given.key, given.value) == ("dead-letters", b"8", value)
    origin = read_dead_letter_headers(given.headers)
    assert (origin.source_topic, origin.source_partition, origin.source_offset) == ("export-requests", 2, 17)
    assert reason in origin.reason
    assert origin.resent_from == "3:4"
