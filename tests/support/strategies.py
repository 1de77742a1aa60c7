"""Generated definitions and logs: small alphabets and a small grid of instants, so that edges are hit often."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from shared.domain.event import Event
from shared.domain.times import occurred_at_of
from tests.support.oracle import DAY, SECOND

START = 1_700_000_000 * SECOND

PROPERTIES = ("total", "total", "a.b", "a.b.c")

_WINDOWS: list[dict[str, Any]] = [
    {"window_seconds": 1},
    {"window_seconds": 2},
    {"window_seconds": 3.0},
    {"window_seconds": 2.5},
    {"window_seconds": 0.000001},
    {"window_seconds": 1e-9},
    {"window_minutes": 0.05},
    {"window_minutes": 1.5},
    {"window_hours": 0.001},
    {"window_hours": 24},
    {"window_days": 0.00001},
    {"window_days": 1},
    {"window_days": 1.25},
    {"window_days": 3650},
]
_THRESHOLDS = (0, 1, 1, 2, 3, 0.5, 0.3, 8.2, 1.0000015, 0.0000015, 999_999_999_999_999, -1e14)
_COUNTS = (0, 1, 2, 3, 1.0, 5)
_COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")
_AGES = ("gt", "gte", "lt", "lte", "eq")

_VALUES: list[Any] = [
    *(0, 1, 1, 1, 2, 2, 3, -1, 0.5, 0.5, 0.1, 0.2, 0.30000000000000004, 8.2, 8.2, 1.0000015, 1.0000005, 1.5e-6),
    *(-0.0, 1e-7, 5e-7, 999_999_999_999_999, 10**15, 1e15, -1e15, 1e300, 2**53 + 1, 123456789.1234565),
    *(None, True, True, False, "1", "", [1], {}),
]
_ODD: list[Any] = [["free", None, {"a": 1}, [1], True], {}, 10**15, 1e15, "é", "\U0001f600"]
_PAYLOADS: list[dict[str, Any]] = [
    {},
    *({"total": value} for value in _VALUES),
    *({"a": {"b": value}} for value in (1, 2, 0.5, None, True, {"c": 2}, {"c": "2"}, 7)),
    {"a": 1},
    {"a.b": 2, "a": {"b": 1}},
    {"a.b": None, "a": {"b": 1}},
    {"a.b.c": 0.5, "total": 1},
    *({"plan": value} for value in ("pro", "pro", "free", "Pro", "", "pro-x", "2026-01-31", True, False, None, 1)),
    *({"plan": value} for value in ("2026-01-31T00:00:00Z", "2026-01-30T23:30-01:00", "2026-1-1", ["pro", 1], [])),
    *({"plan": value, "total": 1} for value in _ODD),
]
_SCALARS: list[Any] = ["pro", "pro", "free", "", "p", "2026-01-31", "2026-01-31T01:00+01:00", "\uffff", 1, 0.5, 2, True]
_TESTED = ("plan", "plan", "total", "a.b", "a")


def _test(operators: tuple[str, ...], values: st.SearchStrategy[Any] | None) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"operator": st.sampled_from(operators)} | ({} if values is None else {"value": values})
    )


_scalar = st.sampled_from(_SCALARS)
_texts = st.sampled_from([value for value in _SCALARS if isinstance(value, str)])
_ranges = st.one_of(
    st.tuples(*[st.sampled_from((0, 0.5, 1, 2))] * 2).map(sorted),
    st.sampled_from((["2026-01-30", "2026-01-31"], ["free", "pro"], ["2026-01-31", "2026-01-31T00:00"], ["", "z"])),
)
_tests = st.one_of(
    _test(("eq", "neq", "contains", "does_not_contain"), _scalar),
    _test(("gt", "gte", "lt", "lte"), st.sampled_from([value for value in _SCALARS if value is not True])),
    _test(("between", "not_between"), _ranges),
    _test(("in", "not_in"), st.lists(_scalar, min_size=1, max_size=3)),
    _test(("starts_with", "ends_with"), _texts),
    _test(("matches_regex",), st.sampled_from(("^p", "o$", "r?ee", "[A-Z]", "^$", "2026-0[1-3]", "."))),
    _test(("is_set", "is_not_set", "is_true", "is_false"), None),
)
_filter = st.tuples(_tests, st.sampled_from(_TESTED)).map(lambda drawn: drawn[0] | {"property": drawn[1]})
_filters = st.one_of(
    *[st.just({})] * 3, st.lists(_filter, min_size=1, max_size=2).map(lambda drawn: {"filters": drawn})
)

_negate = st.sampled_from([{}, {}, {"negate": True}, {"negate": False}])
_window = st.sampled_from(_WINDOWS)
_maybe_window = st.sampled_from([{}, *_WINDOWS, *_WINDOWS])
_event_type = st.sampled_from((*("view",) * 6, *("order",) * 3, "context_identified"))


def drawn_condition(kind: str, *parts: st.SearchStrategy[dict[str, Any]], **keys: st.SearchStrategy[Any]) -> Any:
    """A condition of one type: drawn keys, then those of drawn parts."""
    drawn = st.fixed_dictionaries({"type": st.just(kind), "event_type": _event_type, **keys})
    return st.tuples(drawn, *parts).map(lambda pieces: {key: v for piece in pieces for key, v in piece.items()})


def _without_type(condition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in condition.items() if key != "event_type"}


event_counts = drawn_condition(
    "event_count",
    _maybe_window,
    _negate,
    _filters,
    operator=st.sampled_from(_COMPARISONS),
    value=st.sampled_from(_COUNTS),
)
recencies = drawn_condition("recency", _window, _negate, _filters, operator=st.sampled_from(_AGES))
monetaries = drawn_condition(
    "monetary",
    _maybe_window,
    _negate,
    _filters,
    property=st.sampled_from(PROPERTIES),
    metric=st.sampled_from(("sum", "avg", "max", "min")),
    operator=st.sampled_from(_COMPARISONS),
    value=st.sampled_from(_THRESHOLDS),
)
event_properties = drawn_condition("event_property", _tests, _negate, property=st.sampled_from(_TESTED))
user_properties = drawn_condition("user_property", _tests, _negate, property=st.sampled_from(_TESTED)).map(
    _without_type
)
_steps = st.one_of(
    _event_type,
    st.tuples(_event_type, _filters).map(lambda drawn: {"event_type": drawn[0]} | drawn[1]),
)
event_sequences = drawn_condition(
    "event_sequence",
    _window,
    _negate,
    st.sampled_from(({}, {"strict": True}, {"strict": False})),
    events=st.lists(_steps, min_size=2, max_size=4),
).map(_without_type)
conditions = st.one_of(event_counts, recencies, monetaries, event_properties, user_properties, event_sequences)


def _shared(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same conditions, all about one event type and one property."""
    same = {"event_type": "view", "property": "total", "filters": conditions[0].get("filters", [])}
    same = {key: value for key, value in same.items() if value}
    return [{key: same.get(key, value) for key, value in condition.items()} for condition in conditions]


def alone(conditions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A definition of each condition."""
    return [{"logic": "AND", "conditions": [condition]} for condition in conditions]


sharing_conditions = st.one_of(
    *(st.lists(kind, min_size=2, max_size=5).map(_shared) for kind in (event_counts, monetaries, conditions))
)
"""Conditions that differ in little more than numbers, windows, operators and metrics."""


def groups(items: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Groups of these items."""
    drawn = st.fixed_dictionaries(
        {"logic": st.sampled_from(("AND", "OR")), "conditions": st.lists(items, min_size=1, max_size=3)}
    )
    return st.tuples(drawn, _negate).map(lambda pieces: pieces[0] | pieces[1])


_nested = groups(st.one_of(conditions, groups(st.one_of(conditions, conditions, groups(conditions)))))
definitions = st.one_of(groups(conditions), _nested)
"""Valid definitions: flat, or nested to depth 4."""


@st.composite
def telling(draw: st.DrawFn) -> dict[str, Any]:
    """A definition of conditions that differ in little, nested: many exclude each other or leave nothing out."""
    alike = st.sampled_from(draw(sharing_conditions))
    items = st.tuples(alike, _negate, st.booleans()).map(
        lambda drawn: {key: value for key, value in (drawn[0] | drawn[1]).items() if drawn[2] or key != "filters"}
    )
    pairs = st.fixed_dictionaries(
        {"logic": st.sampled_from(("AND", "OR")), "conditions": st.lists(items, min_size=2, max_size=3)}
    )
    return draw(st.one_of(pairs, groups(st.one_of(items, pairs))))


@st.composite
def families(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Definitions of the segments 1, 2, ...: some refer to others, never in a circle, and some to one that is not."""
    count, forward = draw(st.integers(2, 4)), draw(st.booleans())
    family: dict[int, dict[str, Any]] = {}
    for number in range(1, count + 1) if forward else range(count, 0, -1):
        reference = _reference(st.sampled_from((*family, *family, 99)))
        items = st.one_of(conditions, reference)
        family[number] = draw(groups(st.one_of(items, items, groups(items))))
    return [family[number] for number in sorted(family)]


def _reference(segment_ids: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Any]]:
    operators = st.sampled_from(("in", "in", "not_in"))
    drawn: st.SearchStrategy[dict[str, Any]] = drawn_condition(
        "segment_membership", _negate, segment_id=segment_ids, operator=operators
    )
    return drawn.map(_without_type)


@st.composite
def chains(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Definitions of the segments 1, 2, ...: each but the first says what the one before it says, or the opposite."""
    references = [draw(_reference(st.just(number))) for number in range(1, draw(st.integers(2, 4)))]
    return [draw(definitions), *({"logic": "AND", "conditions": [reference]} for reference in references)]


_STEPS = (0, 0, 1, SECOND // 2, SECOND, SECOND, 2 * SECOND, 3 * SECOND, 60 * SECOND, DAY - 1, DAY)
_LATENESS = (None, None, 0, 0, 1, SECOND, SECOND, 2 * SECOND, 3 * SECOND, 90 * SECOND, 2 * DAY, -SECOND)


def entries(
    steps: tuple[int, ...],
    lateness: tuple[int | None, ...],
    event_types: st.SearchStrategy[str],
    payloads: st.SearchStrategy[dict[str, Any]],
    event_ids: tuple[str | None, ...],
) -> st.SearchStrategy[tuple[Any, ...]]:
    """What `log_of` makes an event of: us since the last receipt, us late, type, payload, id, offsets on."""
    return st.tuples(
        st.sampled_from(steps),
        st.sampled_from(lateness),
        event_types,
        payloads,
        st.sampled_from(event_ids),
        st.sampled_from((1, 1, 2, 7)),
    )


def log_of(entries: list[Any]) -> list[Event]:
    """Events in the order of the log: received_at never goes back, occurred_at is late, equal or ahead by a little."""
    received_at, offset, events = START, -1, []
    for step, late, event_type, payload, event_id, offsets in entries:
        received_at += step
        offset += offsets
        occurred_at = occurred_at_of(None if late is None else received_at - late, received_at)
        events.append(Event("u", event_type, occurred_at, received_at, offset, payload, event_id))
    return events


_entries = entries(_STEPS, _LATENESS, _event_type, st.sampled_from(_PAYLOADS), (None, None, None, None, "x", "y"))


def logs(min_size: int = 1, max_size: int = 10) -> st.SearchStrategy[list[Event]]:
    """The log of one user: late events, repeats, equal instants, wrong types, gaps between offsets."""
    return st.lists(_entries, min_size=min_size, max_size=max_size).map(log_of)
