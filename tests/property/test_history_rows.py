"""Rows of the history: numbers that the kernel reads the same, and marks that agree with the kernel and the oracle."""

import json
from typing import Any
from unittest.mock import patch

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.event import decode_event
from shared.domain import fold
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.domain.fold import REPEAT_US, is_repeat
from shared.domain.numbers import to_micro_units
from shared.domain.user_state import UserState
from shared.history import index
from shared.history.index import PartitionIndex
from shared.history.payload_text import payload_text
from shared.history.rows import Mark, Row, row_of
from tests.support.json_trees import any_text, scalars, trees
from tests.support.oracle import counted

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e6, 1e6),
    st.integers(-(10**9), 10**9).map(lambda n: n / 10**7),
    st.integers(-(2**80), 2**80),
)
STEP_US = REPEAT_US // 4


@given(NUMBERS)
def test_a_number_is_read_as_before_and_has_no_more_to_round(number: float) -> None:
    text = payload_text({"a": number})
    kept = json.loads(text)["a"]
    assert to_micro_units(kept) == to_micro_units(number)
    if (micro := to_micro_units(number)) is not None:
        digits = text.removeprefix('{"a":').removesuffix("}")
        whole, _, fraction = digits.lstrip("-").partition(".")
        assert whole.isdigit()
        assert len(fraction) <= 6
        # in text, without a double between: this is what SQL reads
        exact = int(whole) * 1_000_000 + int(fraction.ljust(6, "0") or 0)
        assert exact == abs(micro)
        assert digits.startswith("-") == (micro < 0) or micro == 0
    assert payload_text({"a": kept}) == text


@given(st.dictionaries(any_text, trees(any_text, scalars), max_size=5))
def test_whatever_can_be_decoded_can_be_archived_and_read_by_duckdb(payload: dict[str, Any]) -> None:
    sent = json.dumps({"tenant": 1, "user_id": "u", "event_type": "t", "payload": payload}).encode()
    try:
        decoded = decode_event(sent).payload
    except InvalidEvent:
        return
    text = payload_text(decoded)
    again = decode_event(b'{"tenant":1,"user_id":"u","event_type":"t","payload":%s}' % text.encode()).payload
    assert _in_micro_units(again) == _in_micro_units(decoded)
    with duckdb.connect() as database:
        assert database.execute("SELECT json_valid(?)", [text]).fetchall() == [(True,)]


@st.composite
def _stories(draw: st.DrawFn) -> list[Row]:
    """Rows of a partition in the order of the log: few users, few ids, steps of a quarter of a day."""
    rows, received_at = [], 10 * REPEAT_US
    for offset in range(draw(st.integers(1, 40))):
        received_at += draw(st.sampled_from((0, 1, STEP_US - 1, STEP_US)))
        tenant, user_id = draw(st.sampled_from(((1, "a"), (1, "b"), (2, "a"))))
        event_id = draw(st.sampled_from((None, "x", "y", "z")))
        occurred_at = received_at - draw(st.integers(0, 5)) * STEP_US
        rows.append(row_of(tenant, Event(user_id, "t", occurred_at, received_at, offset, {}, event_id), 0))
    return rows


@given(_stories(), st.data())
def test_marks_agree_with_the_oracle_however_rows_come_in_batches(rows: list[Row], data: st.DataObject) -> None:
    """Batches that are marked twice, as after a commit that failed; and an index made anew from marked rows."""
    marks: list[Mark] = []
    at = PartitionIndex()
    while len(marks) < len(rows):
        batch = rows[len(marks) : len(marks) + data.draw(st.integers(1, len(rows)))]
        if data.draw(st.booleans()):
            at.mark(batch)
            at.undo()
        marks += at.mark(batch)
        at.keep()
        if data.draw(st.booleans()):
            at.close()
            at = _made_anew(rows, marks)
    at.close()
    assert marks == _expected(rows)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from((0, 1, STEP_US))), max_size=60))
def test_a_user_with_too_many_ids_forgets_them_as_the_kernel_does(sent: list[tuple[str, int]]) -> None:
    state, received_at, events = UserState(event_ids={}), 10 * REPEAT_US, []
    for offset, (event_id, step) in enumerate(sent):
        received_at += step
        events.append(Event("u", "t", received_at, received_at, offset, {}, event_id))
    with patch.object(fold, "MAX_EVENT_IDS", 4), patch.object(index, "MAX_EVENT_IDS", 4), PartitionIndex() as at:
        marks = at.mark([row_of(1, event, 0) for event in events])
        assert [mark.is_repeat for mark in marks] == [is_repeat(state, event) for event in events]


def _in_micro_units(value: Any) -> Any:
    """The value with the numbers that count as such in micro-units."""
    if isinstance(value, dict):
        return {key: _in_micro_units(child) for key, child in value.items()}
    if isinstance(value, list):
        return list(map(_in_micro_units, value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        micro = to_micro_units(value)
        return ("number", value if micro is None else micro)
    return value


def _made_anew(rows: list[Row], marks: list[Mark]) -> PartitionIndex:
    made = PartitionIndex()
    done = list(zip(rows, marks, strict=False))
    made.load_known((row.tenant, row.user_id, row.occurred_at) for row, mark in reversed(done) if mark.makes_known)
    since = done[-1][0].received_at - REPEAT_US
    with_id = [row for row, _ in done if row.event_id is not None and row.received_at > since]
    made.load_ids((r.received_at, r.tenant, r.user_id, r.event_id or "", r.offset) for r in reversed(with_id))
    made.loaded()
    return made


def _expected(rows: list[Row]) -> list[Mark]:
    found: dict[int, Mark] = {}
    for user in {row[:2] for row in rows}:
        own = [row for row in rows if row[:2] == user]
        counts = {event.offset for event in counted(_event(row) for row in own)}
        for number, row in enumerate(own):
            earlier = [other.occurred_at for other in own[:number] if other.offset in counts]
            makes_known = row.offset in counts and all(row.occurred_at < other for other in earlier)
            found[row.offset] = Mark(row.offset not in counts, makes_known)
    return [found[row.offset] for row in rows]


def _event(row: Row) -> Event:
    payload: dict[str, Any] = {}
    return Event(row.user_id, row.event_type, row.occurred_at, row.received_at, row.offset, payload, row.event_id)
