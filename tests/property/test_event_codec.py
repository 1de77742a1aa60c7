"""Reading events never fails in any other way than by saying what is wrong."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.event import decode_event, decode_track, decode_track_batch, encode_event, to_event
from shared.domain.errors import InvalidEvent

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=5)),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.text(max_size=4), children, max_size=3)
    ),
    max_leaves=8,
)


def mostly(valid: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Right nine times of ten."""
    return st.integers(0, 9).flatmap(lambda digit: json_values if digit == 0 else valid)


nearly_events = st.fixed_dictionaries(
    {"user_id": mostly(st.just("u")), "event_type": mostly(st.just("view")), "tenant": mostly(st.just(1))},
    optional={
        "occurred_at": mostly(st.datetimes(datetime(1970, 1, 1)).map(str)),  # noqa: DTZ001 - drawn without a zone
        "payload": mostly(st.dictionaries(st.text(max_size=4), json_values, max_size=4)),
        "event_id": mostly(st.text(min_size=1, max_size=3)),
        "anonymous_id": mostly(st.text(max_size=3)),
        "other": json_values,
    },
)
bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    nearly_events.map(lambda value: json.dumps(value).encode()),
    nearly_events.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.tuples(nearly_events, st.integers(0, 200), st.binary(min_size=1, max_size=2)).map(
        lambda p: (body := json.dumps(p[0]).encode())[: p[1]] + p[2] + body[p[1] + len(p[2]) :]
    ),
)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return not re.search(rb"NaN|Infinity", body)


@settings(max_examples=700)
@given(bodies)
def test_reading_an_event_raises_nothing_but_invalid_event(body: bytes) -> None:
    for decode in (decode_event, decode_track):
        try:
            message = decode(body)
        except InvalidEvent:
            pass
        else:
            stored = encode_event(message, 7)
            assert decode_event(stored) == message
            assert to_event(message, 10**18, 3).payload == message.payload


@given(st.lists(bodies.filter(_is_json), min_size=1, max_size=4))
def test_a_batch_says_of_each_event_what_it_says_of_it_alone(items: list[bytes]) -> None:
    read = decode_track_batch(b'{"events": [' + b", ".join(items) + b"]}")
    assert [_told(item) for item in read] == [_alone(item) for item in items]


def _alone(body: bytes) -> Any:
    try:
        return decode_track(body)
    except InvalidEvent as fault:
        return _told(fault)


def _told(item: Any) -> Any:
    return (item.field, item.message) if isinstance(item, InvalidEvent) else item


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_truncated_event_is_refused(cut: int) -> None:
    whole = json.dumps({"user_id": "u", "event_type": "view", "tenant": 1, "payload": {"a": [1, {"b": "c"}], "d": 2.5}})
    assert decode_event(whole.encode()).user_id == "u"
    with pytest.raises(InvalidEvent):
        decode_event(whole[: min(cut, len(whole) - 1)].encode())
