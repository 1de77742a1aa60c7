"""How a payload is written: every number as the kernel reads it, everything else as it was sent."""

import msgspec
import pytest

from shared.contracts.event import decode_event
from shared.history.payload_text import payload_text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("1", "1"),
        ("1.0", "1.0"),
        ("0.1", "0.1"),
        ("8.2", "8.2"),
        ("0.30000000000000004", "0.3"),
        ("1.0000005", "1.0"),  # half-even
        ("1.0000015", "1.000002"),
        ("-1.0000025", "-1.000002"),
        ("0.0000005", "0.0"),
        ("-0.0000004", "0.0"),
        ("0.0000015", "0.000002"),
        ("1e-6", "0.000001"),  # DuckDB and others need not know exponents
        ("2.5e-5", "0.000025"),
        ("1e3", "1000.0"),
        ("12345678901.2345674", "12345678901.234568"),
        ("123456789012345.67", "123456789012345.67"),
        ("999999999999999.9", "999999999999999.9"),
        ("1e15", "1000000000000000.0"),  # mistyped, and kept
        ("1e22", "1e22"),
        ("-1e308", "-1e308"),
        ("1234567890123456789", "1234567890123456789"),
        ("1180591620717411303424", "1180591620717411303424"),
    ],
)
def test_numbers_are_rounded_once(sent: str, kept: str) -> None:
    assert text(f'{{"a":{sent},"b":{{"c":[{sent},"x"]}}}}') == f'{{"a":{kept},"b":{{"c":[{kept},"x"]}}}}'


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("{}", "{}"),
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'),  # of duplicate keys the last
        (r'{"a":"\u00e4\ud83d\ude00\n","b":[true,null,[]]}', '{"a":"ä😀\\n","b":[true,null,[]]}'),
        (' { "a" : [ 1 , {} ] } ', '{"a":[1,{}]}'),
    ],
)
def test_everything_else_is_what_decoding_made_of_it(sent: str, kept: str) -> None:
    assert text(sent) == kept


def test_what_was_decoded_is_not_altered() -> None:
    payload = {"a": 1.23456789, "b": {"c": [0.00000049]}}
    before = msgspec.json.encode(payload)
    assert payload_text(payload) != before.decode()
    assert msgspec.json.encode(payload) == before


def text(payload: str) -> str:
    """Of a payload as it was sent."""
    return payload_text(
        decode_event(f'{{"tenant":1,"user_id":"u","event_type":"t","payload":{payload}}}'.encode()).payload
    )
