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
from shared.contracts.progress import ExportedFile, Progress, decode_progress, encode_progress, progress_key
from shared.contracts.question import (
    Answer,
    Explain,
    Explained,
    Question,
    Refused,
    Tried,
    Try,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)
from shared.domain.evidence import Evidence, KeptEvents
from shared.domain.explanation import FoundCondition

CHANGE = Change(
    change_id(5, "ann", 1, 3), 1, 5, 2, "ann", "entered", 1_700_000_000_000_000, "event", 1, 3, 1_700_000_000_000_000
)
DEFINITION = {
    "logic": "AND",
    "conditions": [{"type": "event_count", "event_type": "buy", "operator": "gte", "value": 1}],
}
COMMAND = Command(tenant=1, segment_id=5, outbox_id=9, serving=VersionWish(2, DEFINITION))
REQUEST = ExportRequest(export_id=8, outbox_id=21, tenant=1, segment_id=5, format="csv")
REPORT = Progress("segment", 5, 9, "ready", version=2, partition=3, cutover=77)
FILE = ExportedFile("8-0af3.csv", 61, "9f86", 1_700_000_000_000_000, 1_700_000_600_000_000)
COMPLETE = Progress("export", 8, 21, "complete", row_count=2, file=FILE)


def test_a_change_is_frozen() -> None:
    assert encode_change(CHANGE) == (
        b'{"id":"5:ann:1:3","tenant":1,"segment_id":5,"version":2,"user_id":"ann","change":"entered",'
        b'"at_us":1700000000000000,"reason":"event","generation":1,"sequence":3,"entered_at_us":1700000000000000,'
        b'"schema_version":1}'
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
        b'"error":null,"row_count":null,"detail":null,"file":null,"schema_version":1}'
    )
    assert encode_progress(COMPLETE) == (
        b'{"kind":"export","id":8,"outbox_id":21,"status":"complete","version":null,"partition":-1,"cutover":null,'
        b'"error":null,"row_count":2,"detail":null,"file":{"name":"8-0af3.csv","size":61,"sha256":"9f86",'
        b'"as_of_us":1700000000000000,"expires_at_us":1700000600000000},"schema_version":1}'
    )
    for report in (REPORT, COMPLETE):
        assert decode_progress(encode_progress(report)) == report


def test_a_report_from_before_files_is_still_read() -> None:
    old = b'{"kind":"export","id":8,"outbox_id":21,"status":"failed","error":"no","schema_version":1}'
    assert decode_progress(old) == Progress("export", 8, 21, "failed", error="no")


def test_a_question_is_frozen() -> None:
    why = Question("0af3", Explain(1, "ann", 5, evidence=True))
    assert encode_question(why) == (
        b"\x83\xa2id\xa40af3\xa3ask\x85\xa4type\xa7explain\xa6tenant\x01\xa7"
        b"user_id\xa3ann\xaasegment_id\x05\xa8evidence\xc3\xaesc"
        b"hema_version\x01"
    )
    what_if = Question("0af3", Try(b'{"tenant":1}'))
    assert encode_question(what_if) == (
        b'\x83\xa2id\xa40af3\xa3ask\x82\xa4type\xa3try\xa5event\xc4\x0c{"tenant":1}\xaeschema_version\x01'
    )
    assert [decode_question(encode_question(each)) for each in (why, what_if)] == [why, what_if]


def test_an_answer_is_frozen() -> None:
    found = [FoundCondition(2.5, at_least=False, matches=True, next_change_at=1_700_000_000_000_000)]
    evidence = [Evidence([KeptEvents(1_600_000_000_000_000, 2, "x", [1])], 1, "rough")]
    why = Answer(77, Explained(9, 4, known=True, member=True, next_change_at=None, conditions=found, evidence=evidence))
    assert encode_answer(why) == (
        b"\x83\xa5epochM\xa4said\x88\xa4type\xa9explained\xa5as_of\t"
        b"\xa7version\x04\xa5known\xc3\xa6member\xc3\xaenext_change"
        b"_at\xc0\xaaconditions\x91\x84\xacactual_value\xcb@\x04\x00\x00\x00"
        b"\x00\x00\x00\xa8at_least\xc2\xa7matches\xc3\xaenext_change_a"
        b"t\xcf\x00\x06\n$\x18\x1e@\x00\xa8evidence\x91\x83\xa6events\x91\x84\xaboccur"
        b"red_at\xcf\x00\x05\xaf1\x07\xa4\x00\x00\xa5count\x02\xa5value\xa1x\xa5steps"
        b"\x91\x01\xa4kept\x01\xabapproximate\xa5rough\xaeschema_ve"
        b"rsion\x01"
    )
    what_if = Answer(77, Tried(9, counted=True, entered=[5], exited=[], unchanged=3))
    assert encode_answer(what_if) == (
        b"\x83\xa5epochM\xa4said\x86\xa4type\xa5tried\xa5as_of\t\xa7cou"
        b"nted\xc3\xa7entered\x91\x05\xa6exited\x90\xa9unchanged\x03\xaes"
        b"chema_version\x01"
    )
    refused = Answer(77, Refused("not yet"))
    assert encode_answer(refused) == (
        b"\x83\xa5epochM\xa4said\x82\xa4type\xa7refused\xa6reason\xa7not yet\xaeschema_version\x01"
    )
    assert [decode_answer(encode_answer(each)) for each in (why, what_if, refused)] == [why, what_if, refused]


@pytest.mark.parametrize(
    "decode",
    [decode_change, decode_command, decode_export_request, decode_progress, decode_question, decode_answer],
)
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null", b"\xff"])
def test_what_is_none_of_ours_is_refused(decode: Callable[[bytes], object], value: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        decode(value)
