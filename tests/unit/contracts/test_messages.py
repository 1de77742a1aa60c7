"""Messages between processes are frozen byte for byte: another release must read them."""

from collections.abc import Callable

import msgspec
import pytest

from shared.contracts.change import Change, change_id, decode_change, encode_change
from shared.contracts.command import Command, VersionWish, command_key, decode_command, encode_command
from shared.contracts.export_request import (
    ExportRequest,
    decode_export_request,
    encode_export_request,
    export_request_key,
)
from shared.contracts.progress import Progress, decode_progress, encode_progress, progress_key

CHANGE = Change(change_id(5, "ann", 1, 3), 1, 5, 2, "ann", "entered", 1_700_000_000_000_000, "event", 1, 3)
DEFINITION = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1}],
}
COMMAND = Command(tenant=1, segment_id=5, outbox_id=9, serving=VersionWish(2, DEFINITION))
REQUEST = ExportRequest(export_id=8, outbox_id=21, tenant=1, segment_id=5, format="csv")
REPORT = Progress("segment", 5, 9, "ready", version=2, partition=3, cutover=77)


def test_a_change_is_frozen() -> None:
    assert encode_change(CHANGE) == (
        b'{"id":"5:ann:1:3","tenant":1,"segment_id":5,"version":2,"user_id":"ann","change":"entered",'
        b'"at_us":1700000000000000,"reason":"event","generation":1,"sequence":3,"schema_version":1}'
    )
    assert decode_change(encode_change(CHANGE)) == CHANGE


def test_a_command_is_frozen() -> None:
    assert command_key(5) == b"5"
    assert encode_command(COMMAND) == (
        b'{"tenant":1,"segment_id":5,"outbox_id":9,"serving":{"version":2,"definition":{"logic":"AND","conditions":'
        b'[{"type":"event_count","event_type":"buy","operator":"gte","value":1}]}},"computing":null,"deleted":false,'
        b'"schema_version":1}'
    )
    assert decode_command(encode_command(COMMAND)) == COMMAND


def test_an_export_request_is_frozen() -> None:
    assert export_request_key(8) == b"8"
    assert encode_export_request(REQUEST) == (
        b'{"export_id":8,"outbox_id":21,"tenant":1,"segment_id":5,"format":"csv","schema_version":1}'
    )
    assert decode_export_request(encode_export_request(REQUEST)) == REQUEST


def test_a_report_is_frozen() -> None:
    assert progress_key(REPORT) == b"5"
    assert encode_progress(REPORT) == (
        b'{"kind":"segment","id":5,"outbox_id":9,"status":"ready","version":2,"partition":3,"cutover":77,'
        b'"error":null,"schema_version":1}'
    )
    assert decode_progress(encode_progress(REPORT)) == REPORT


@pytest.mark.parametrize("decode", [decode_change, decode_command, decode_export_request, decode_progress])
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null", b"\xff"])
def test_what_is_none_of_ours_is_refused(decode: Callable[[bytes], object], value: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        decode(value)
