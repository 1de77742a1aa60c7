"""Which dead letters are chosen, and which can be sent again."""

import pytest

from services.evaluator.dead_letters import Choice, Chosen, Letter, Place, origin_of
from shared.contracts.dead_letter import RESENT_FROM, dead_letter_headers
from shared.contracts.topics import EVENTS, EXPORT_REQUESTS, PROGRESS


def letter(
    offset: int, reason: str = "not UTF-8", topic: str = EVENTS, at_ms: int = 0, value: bytes | None = b"x"
) -> Letter:
    size = None if value is None else len(value)
    origin = origin_of(dead_letter_headers(topic, 3, 41, reason))
    return Letter(Place(0, offset), at_ms or offset, origin, b"key", value, size)


def chosen(choice: Choice, *letters: Letter) -> list[int]:
    found = Chosen(choice)
    for one in letters:
        found.add(one)
    return [one.place.offset for one in found.letters]


def test_a_place_is_read_as_it_is_written() -> None:
    assert Place.read(str(Place(3, 41))) == (3, 41)


@pytest.mark.parametrize("text", ["", "3", "3:", "-1:2", "3:4:5", "3 :4", "³:4"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no <partition>:<offset>"):
        Place.read(text)


@pytest.mark.parametrize("topic", [EVENTS, EXPORT_REQUESTS])
def test_a_letter_of_a_topic_that_others_write_can_be_sent_again(topic: str) -> None:
    assert letter(1, topic=topic).obstacle is None


def test_a_letter_without_a_value_cannot_be_sent_again() -> None:
    assert letter(1, value=None).obstacle == "it has no value"
    assert letter(1, value=b"").obstacle is None


def test_a_letter_of_another_topic_cannot_be_sent_again() -> None:
    assert letter(1, topic=PROGRESS).obstacle == (
        "it came from topic progress; only events and export-requests take letters again"
    )


@pytest.mark.parametrize("headers", [[], [("source_topic", None)], [("source_topic", b"\xff")]])
def test_a_message_that_is_no_letter_of_ours_says_so(headers: list[tuple[str, object]]) -> None:
    foreign = Letter(Place(0, 0), 0, origin_of(headers), None, b"x", 1)
    assert foreign.reason.startswith("not written by this system: ")
    assert foreign.obstacle == foreign.reason


def test_a_letter_that_failed_again_tells_which_it_was() -> None:
    origin = origin_of(dead_letter_headers(EVENTS, 3, 41, "not UTF-8", [(RESENT_FROM, b"2:7")]))
    assert not isinstance(origin, str)
    assert origin.resent_from == "2:7"


def test_each_filter_narrows() -> None:
    letters = [letter(1, "no JSON"), letter(2, "Not UTF-8"), letter(3, topic=EXPORT_REQUESTS)]
    assert chosen(Choice(), *letters) == [1, 2, 3]
    assert chosen(Choice(reason="utf-8"), *letters) == [2, 3]
    assert chosen(Choice(source_topic=EVENTS), *letters) == [1, 2]
    assert chosen(Choice(since_ms=2), *letters) == [2, 3]
    assert chosen(Choice(places=frozenset({Place(0, 3), Place(1, 2)})), *letters) == [3]
    assert chosen(Choice(reason="utf-8", source_topic=EVENTS), *letters) == [2]


def test_the_newest_come_last_and_a_limit_keeps_them() -> None:
    letters = [letter(1, at_ms=30), letter(2, at_ms=10), letter(3, at_ms=20)]
    assert chosen(Choice(), *letters) == [2, 3, 1]
    assert chosen(Choice(limit=2), *letters) == [3, 1]


def test_reasons_that_differ_in_numbers_count_as_one_whatever_the_limit() -> None:
    found = Chosen(Choice(limit=1))
    for offset, reason in enumerate(("partition 3, not 10", "partition 11, not 0", "no JSON")):
        found.add(letter(offset, reason))
    assert found.by_reason == {"partition N, not N": 2, "no JSON": 1}


def test_places_that_hold_nothing_are_named() -> None:
    found = Chosen(Choice(places=frozenset({Place(0, 1), Place(0, 2), Place(3, 0)}), limit=1))
    for offset in (1, 2):
        found.add(letter(offset))
    assert found.missing == [Place(3, 0)]
