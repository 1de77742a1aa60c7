"""Generated definitions and logs around one event type and few seconds, so that thresholds are crossed all the time."""

from typing import Any

from hypothesis import strategies as st

from shared.domain.event import Event
from tests.support.oracle import SECOND
from tests.support.strategies import START, drawn_condition

Json = dict[str, Any]

_WINDOW = st.sampled_from(({"window_seconds": 2}, {"window_seconds": 3}, {"window_seconds": 3}))
_NEGATE = st.sampled_from(({}, {}, {"negate": True}))
_COMPARISONS = st.sampled_from(("eq", "neq", "gt", "gte", "lt", "lte"))


def _condition(kind: str, *parts: st.SearchStrategy[Json], **keys: Any) -> st.SearchStrategy[Json]:
    drawn: st.SearchStrategy[Json] = drawn_condition(kind, _NEGATE, *parts, event_type=st.just("view"), **keys)
    return drawn


_conditions = st.one_of(
    _condition("event_count", _WINDOW, operator=_COMPARISONS, value=st.integers(0, 3)),
    _condition("recency", _WINDOW, operator=st.sampled_from(("gt", "gte", "lt", "lte", "eq"))),
    _condition(
        "monetary",
        st.one_of(_WINDOW, _WINDOW, st.just({})),
        property=st.just("total"),
        metric=st.sampled_from(("sum", "sum", "avg", "max", "min")),
        operator=_COMPARISONS,
        value=st.sampled_from((0, 1, 2, 2, 3)),
    ),
    _condition(
        "event_property",
        property=st.just("total"),
        operator=st.sampled_from(("eq", "neq")),
        value=st.sampled_from((0, 1, True)),
    ),
)
_groups = st.fixed_dictionaries(
    {"logic": st.sampled_from(("AND", "OR")), "conditions": st.lists(_conditions, min_size=1, max_size=3)}
)
dense_definitions = st.lists(_groups, min_size=1, max_size=3)
"""Definitions over conditions that share their slots."""

_entries = st.tuples(
    st.sampled_from((0, 1, SECOND // 2, SECOND, SECOND, 2 * SECOND)),
    st.sampled_from((0, 0, 0, SECOND, 2 * SECOND)),
    st.sampled_from(({}, *({"total": value} for value in (0, 1, 1, 2, 2, 3, -1, 0.000001, True)))),
)


def _log(entries: list[Any]) -> list[Event]:
    received_at, events = START, []
    for offset, (step, late, payload) in enumerate(entries):
        received_at += step
        events.append(Event("u", "view", received_at - late, received_at, offset, payload))
    return events


dense_logs = st.lists(_entries, min_size=2, max_size=12).map(_log)
"""Events of one type close to each other, some late, some of one instant."""
