"""What an event may be on the wire, and the words in which the rest is refused."""

import json
from typing import Any

import pytest

from shared.contracts.event import (
    EventMessage,
    decode_event,
    decode_track,
    decode_track_batch,
    encode_event,
    to_event,
)
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event

SECOND = 1_000_000
HOUR = 3_600 * SECOND
RECEIVED = 1_777_118_400 * SECOND  # 2026-04-25T12:00:00Z


def text(**keys: Any) -> bytes:
    """The JSON of a good event with some keys set."""
    return json.dumps({"user_id": "u", "event_type": "view", "tenant": 1} | keys).encode()


def raw(tail: bytes) -> bytes:
    """A good event whose JSON goes on as given."""
    return b'{"user_id":"u","event_type":"view","tenant":1,' + tail + b"}"


def refused(body: bytes) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        decode_event(body)
    return caught.value


def test_a_full_event_is_read() -> None:
    body = text(
        occurred_at="2026-04-25T12:00:00.5Z", payload={"a": [1, 2.5, None, True]}, event_id="e", anonymous_id="", x=1
    )
    assert decode_event(body) == EventMessage(
        "u", "view", "2026-04-25T12:00:00.5Z", {"a": [1, 2.5, None, True]}, "e", "", 1
    )


def test_optional_keys_may_be_absent_and_null_counts_as_absent() -> None:
    assert decode_event(text()) == EventMessage("u", "view", tenant=1)
    assert decode_event(text(occurred_at=None, event_id=None, anonymous_id=None)) == EventMessage("u", "view", tenant=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""),
        ("user_id", "x" * 257),
        ("user_id", 7),
        ("user_id", None),
        ("event_type", ""),
        ("event_type", "x" * 129),
        ("event_type", ["view"]),
        ("occurred_at", "yesterday"),
        ("occurred_at", "2026-04-25T24:00:00Z"),
        ("occurred_at", "1969-12-31T23:59:59Z"),
        ("occurred_at", 1777118400),
        ("payload", []),
        ("payload", None),
        ("payload", "{}"),
        ("event_id", ""),
        ("event_id", "x" * 129),
        ("event_id", 5),
        ("anonymous_id", 5),
        ("tenant", 0),
        ("tenant", -1),
        ("tenant", 1.0),
        ("tenant", True),
        ("tenant", "1"),
        ("tenant", 1 << 63),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(field: str, value: Any) -> None:
    fault = refused(text(**{field: value}))
    assert fault.field == field
    assert str(fault).startswith(f"{field}: ")


@pytest.mark.parametrize("field", ["user_id", "event_type", "tenant"])
def test_a_missing_key_is_named(field: str) -> None:
    event = json.loads(text())
    del event[field]
    fault = refused(json.dumps(event).encode())
    assert (fault.field, fault.message.split(":")[0]) == (field, "is missing")


@pytest.mark.parametrize(("field", "length"), [("user_id", 256), ("event_type", 128), ("event_id", 128)])
def test_lengths_are_counted_in_characters(field: str, length: int) -> None:
    assert decode_event(text(**{field: "\U0001f600" * length})) is not None
    assert refused(text(**{field: "\U0001f600" * (length + 1)})).field == field


@pytest.mark.parametrize(
    "tail",
    [
        b'"x":"\xff"',
        b'"x":"\xed\xa0\x80"',
        b'"x":"\\ud800"',
        b'"x":"\\udc00\\ud800"',
        b'"x":"\\ud800\\n\\udc00"',
        b'"x":"\\ud800 \\udc00"',
        b'"x":"\\u0000"',
        b'"x":"\x00"',
        b'"\\u0000":1',
        b'"payload":{"a":{"b\\u0000":1}}',
        b'"payload":{"a":["\\ud83d"]}',
        b'"x":NaN',
        b'"x":Infinity',
        b'"x":01',
        b'"x":',
        b'"x":' + b"[" * 5_000 + b"]" * 5_000,
        b'"payload":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_is_no_clean_json_text_is_refused_wherever_it_stands(tail: bytes) -> None:
    assert refused(raw(tail)).field == "event"


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"u"', b"5", b"{", text()[:-1], text() + b"x", b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(body).field == "event"


def test_escapes_that_only_look_alike_are_text() -> None:
    message = decode_event(raw(b'"payload":{"a":"\\\\u0000","b":"\\ud83d\\ude00","c":"\xc3\xa9"}'))
    assert message.payload == {"a": "\\u0000", "b": "\U0001f600", "c": "\u00e9"}


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 309, b"-1" + b"0" * 400, b"1" + b"0" * 5_000])
@pytest.mark.parametrize("payload", [b'{"a":%b}', b'{"a":[{"b":%b}]}'])
def test_a_number_that_no_double_holds_is_refused(payload: bytes, number: bytes) -> None:
    assert refused(raw(b'"payload":' + payload % number)).field == "payload"


def test_a_large_number_is_kept() -> None:
    payload = decode_event(raw(b'"payload":{"a":1' + b"0" * 308 + b',"b":1e308,"c":18446744073709551616}')).payload
    assert payload == {"a": 10**308, "b": 1e308, "c": 1 << 64}


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_a_payload_nests_to_depth_16(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return raw(b'"payload":{"p":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}")

    assert decode_event(nested(16)).payload
    assert refused(nested(17)).field == "payload"


def test_a_payload_is_at_most_32_kib_of_json_text() -> None:
    fitting = b'"payload":{"a":"' + b"x" * (32_768 - 8) + b'"}'
    assert len(decode_event(raw(fitting)).payload["a"]) == 32_760
    assert refused(raw(fitting.replace(b'":"x', b'": "x'))).field == "payload"
    assert decode_event(raw(b'"payload":{},"unknown":"' + b"x" * 100_000 + b'"')).payload == {}


def test_a_payload_that_would_be_too_long_when_written_again_is_refused() -> None:
    written_out = b'"payload":{"a":[' + b"1e15," * 4_000 + b"1]}"
    assert len(written_out) < 32_768
    assert refused(raw(written_out)).field == "payload"


def test_of_duplicate_keys_the_last_wins_whatever_the_first_is() -> None:
    message = decode_event(raw(b'"user_id":7,"user_id":"v","payload":{"a":1,"a":2},"payload":{"a":3,"a":4}'))
    assert (message.user_id, message.payload) == ("v", {"a": 4})


def test_the_fault_of_an_ignored_tenant_hides_no_text_that_is_no_json() -> None:
    with pytest.raises(InvalidEvent, match="not valid JSON"):
        decode_track(b'{"user_id":"u","event_type":"view","tenant":"acme","occurred_at":1e400 "2026-03-10"}')


@pytest.mark.parametrize("tenant", [b'"acme"', b"null", b"-5", b"7", b"[]"])
@pytest.mark.parametrize("key", [b'"tenant"', b'"ten\\u0061nt"'])
def test_a_rest_body_has_no_tenant_and_ignores_one(key: bytes, tenant: bytes) -> None:
    body = b'{"user_id":"u","event_type":"view",' + key + b":" + tenant + b"}"
    assert decode_track(body) == EventMessage("u", "view")


def test_a_stored_event_is_read_back_as_it_was() -> None:
    message = decode_track(b'{"user_id":"u","event_type":"v","payload":{"a":1e30,"b":[1,"\xc3\xa9"]},"event_id":"e"}')
    stored = encode_event(message, 7)
    assert (
        stored == b'{"user_id":"u","event_type":"v","payload":{"a":1e30,"b":[1,"\xc3\xa9"]},"event_id":"e","tenant":7}'
    )
    assert decode_event(stored) == message


def test_a_bad_event_of_a_batch_never_fails_the_others() -> None:
    good, bad = b'{"user_id":"u","event_type":"view"}', b'{"user_id":"","event_type":"view"}'
    broken = b'{"user_id":"u","event_type":"view","x":"\xff"}'
    first, second, third, fourth, fifth = decode_track_batch(
        b'{"events": [' + b",".join([good, bad, b"5", broken, good]) + b'], "other": 1}'
    )
    assert first == fifth == EventMessage("u", "view")
    assert [str(fault) for fault in (second, third, fourth)] == [
        "user_id: must be a string of 1 to 256 characters",
        "event: must be a JSON object",
        "event: is not valid UTF-8",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"events":{}}',
        b'{"events":null}',
        b'{"events":[]}',
        b'{"events":[1',
        b'{"events":' + b"[" * 9_999,
    ],
)
def test_a_wrong_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode_track_batch(body)
    assert caught.value.field == "events"


def test_a_lone_surrogate_is_the_fault_of_one_event() -> None:
    good, bad = (
        b'{"user_id":"\\u00e4","event_type":"view"}',
        b'{"user_id":"u","event_type":"view","x":"\\ud800\\"dc00"}',
    )
    first, second, third = decode_track_batch(b'{"events":[' + b",".join([good, bad, good]) + b"]}")
    assert first == third == EventMessage("\u00e4", "view")
    assert str(second) == "event: holds a lone surrogate"
    for body in (
        b'{"x":"\\ud800","events":{"a":1}}',
        b'{"events":[' + b",".join([bad] * 501) + b"]}",
        b'["\\ud800"]',
        b'{"events":["\\ud800",',
    ):
        with pytest.raises(InvalidEvent, match="events"):
            decode_track_batch(body)


def test_a_batch_holds_1_to_500_events() -> None:
    def body(count: int) -> bytes:
        return json.dumps({"events": [{"user_id": str(n), "event_type": "view"} for n in range(count)]}).encode()

    assert [item.user_id for item in decode_track_batch(body(500)) if isinstance(item, EventMessage)] == [
        str(number) for number in range(500)
    ]
    with pytest.raises(InvalidEvent, match="1 to 500"):
        decode_track_batch(body(501))


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        (None, RECEIVED),
        ("2026-04-25T12:00:00Z", RECEIVED),
        ("2026-04-25 11:59:59.999999", RECEIVED - 1),
        ("2026-04-25T14:00:00.000001+02:00", RECEIVED),
        ("2026-04-25T13:00:00Z", RECEIVED),
        ("1970-01-01", 0),
    ],
)
def test_an_event_never_lies_after_its_receipt(sent: str | None, counted: int) -> None:
    event = to_event(EventMessage("u", "view", sent, {"a": 1}, "e"), RECEIVED, 5)
    assert event == Event("u", "view", counted, RECEIVED, 5, {"a": 1}, "e")


def test_an_event_more_than_an_hour_ahead_of_its_receipt_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="occurred_at"):
        to_event(EventMessage("u", "view", "2026-04-25T13:00:00.000001Z"), RECEIVED, 5)
