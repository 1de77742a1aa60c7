"""Dead letters: what the headers hold, and that they can be read back."""

import pytest

from shared.contracts.dead_letter import (
    MAX_REASON_CHARS,
    RESENT_FROM,
    DeadLetterOrigin,
    dead_letter_headers,
    read_dead_letter_headers,
)


def test_the_headers_are_frozen() -> None:
    headers = dead_letter_headers("events", 3, 41, "user_id: must not be empty")
    assert headers == [
        ("source_topic", b"events"),
        ("source_partition", b"3"),
        ("source_offset", b"41"),
        ("reason", b"user_id: must not be empty"),
        ("schema_version", b"1"),
    ]


def test_what_was_written_is_read() -> None:
    headers = dead_letter_headers("events", 3, 41, "not UTF-8")
    assert read_dead_letter_headers(headers) == DeadLetterOrigin("events", 3, 41, "not UTF-8")


def test_a_letter_that_was_one_before_says_which() -> None:
    headers = dead_letter_headers("events", 3, 41, "not UTF-8", [("trace", None), (RESENT_FROM, b"2:7")])
    assert RESENT_FROM == "resent_from"
    assert read_dead_letter_headers(headers) == DeadLetterOrigin("events", 3, 41, "not UTF-8", resent_from="2:7")


def test_a_reason_is_one_short_line_of_utf8_whatever_it_quotes() -> None:
    headers = dead_letter_headers("events", 0, 0, "bad\nvalue \ud800 " + "x" * 5000)
    reason = read_dead_letter_headers(headers).reason
    assert reason.startswith("bad value ? x")
    assert len(reason) <= MAX_REASON_CHARS


def test_other_headers_are_refused() -> None:
    with pytest.raises(ValueError, match="source_topic"):
        read_dead_letter_headers([("trace", b"1")])
