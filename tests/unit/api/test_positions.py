"""Positions and cursors: what we give out is what we take back, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.cursors import cursor_of, read_cursor
from services.api.errors import Invalid
from services.api.positions import Position, parse_position, plain_epoch, position_text

_EPOCHS = st.text("ABCxyz019+/", min_size=1, max_size=22)
_OFFSETS = st.dictionaries(st.integers(0, 999), st.integers(0, (1 << 63) - 1), min_size=1, max_size=20)


@given(_EPOCHS, _OFFSETS)
def test_a_position_comes_back_as_it_was_and_needs_no_escapes(epoch: str, offsets: dict[int, int]) -> None:
    position = Position(plain_epoch(epoch), offsets)
    text = position_text(position)
    assert parse_position("after", text) == position
    assert not set(text) & set("+/&=%# ?")


@given(st.text().filter(lambda text: ":" not in text) | st.text("0123456789-,:", max_size=3))
def test_any_other_text_is_refused_with_the_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_position("after", text)
    assert list(refused.value.body) == ["after"]


@given(st.tuples(st.integers(), st.text()))
def test_a_cursor_comes_back_as_it_was(content: tuple[int, str]) -> None:
    try:
        text = cursor_of(content)
    except UnicodeEncodeError:
        return  # lone surrogates are in no user id
    assert read_cursor(text, tuple[int, str]) == content


@pytest.mark.parametrize("text", ["", "x", "%", "a b", "e30", "WzFd", "/w==", "eyJhIjo"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_cursor(text, tuple[int, str])
    assert list(refused.value.body) == ["cursor"]
