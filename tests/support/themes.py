"""Generated definitions with logs made for them: one condition, and events that it looks at, near to its edges.

`tests/support/strategies.py` draws wide, and seldom hits what needs three things at once; these draw narrow.
"""

from typing import Any

from hypothesis import strategies as st

from shared.domain.event import Event
from tests.support.oracle import DAY, SECOND, UNITS
from tests.support.strategies import alone, entries, event_counts, log_of, monetaries, recencies

Json = dict[str, Any]
Theme = tuple[list[Json], list[Event]]
"""The definitions of the segments 1, 2, ... and a log."""

_NEAR = (0, 0, 1, SECOND, SECOND, 2 * SECOND)
_LATE = (0, 0, 0, SECOND, 2 * SECOND, 1, None)
_short_window = st.sampled_from([{"window_seconds": length} for length in (1, 2, 3, 2.5)])
_maybe_window: st.SearchStrategy[Json] = st.one_of(_short_window, _short_window, st.just({}))
_negate = st.sampled_from([{}, {}, {"negate": True}])


def _logs(
    types: tuple[str, ...],
    payloads: st.SearchStrategy[Json],
    ids: tuple[str | None, ...] = (None,),
    steps: tuple[int, ...] = _NEAR,
) -> st.SearchStrategy[list[Event]]:
    drawn = entries(steps, _LATE, st.sampled_from(types), payloads, ids)
    # Hypothesis likes the first choice best, and of lists of any length the empty one
    length = st.sampled_from((4, 5, 6, 3, 2))
    return length.flatmap(lambda length: st.lists(drawn, min_size=length, max_size=length)).map(log_of)


# numbers near to each other, also to be compared with, and what else may be in a payload
_NUMBERS: tuple[tuple[list[float], list[Any]], ...] = (
    ([1, 2, 0, -1, 3], []),
    ([8.2, 1.0000015, 1.5e-6, 0.5], [0.3]),
    ([1, 2, 0], [True, "1", 10**15, None, [1]]),
)


@st.composite
def numbers(draw: st.DrawFn) -> Theme:
    """A condition on the property `total` of views, with a short window or none."""
    pool, others = draw(st.sampled_from(_NUMBERS))
    drawn = draw(st.one_of(monetaries, monetaries, event_counts, recencies))
    condition = {key: value for key, value in drawn.items() if key not in UNITS and key != "filters"}
    condition |= {"event_type": "view"} | draw(_short_window if drawn["type"] == "recency" else _maybe_window)
    if drawn["type"] == "monetary":
        condition |= {"property": "total", "value": draw(st.sampled_from(pool))}
    payloads = st.sampled_from([*({"total": value} for value in (*pool, *others)), {}])
    return alone([condition]), draw(_logs(("view", "view", "view", "order"), payloads))


_POOLS: tuple[tuple[list[Any], list[Any], list[Any]], ...] = (
    # operands, ranges, and what else may be in a payload
    (["pro", "free", "", "p"], [["free", "pro"], ["", "p"]], ["Pro", "pro-x", "pro\n", None, 1, ["pro"], {}]),
    (
        ["2026-01-31", "2026-01-31T01:00+01:00", "2026-01-30T23:30-01:00", "2026-1-31"],
        [["2026-01-31", "2026-01-31T01:00"], ["2026-01-30", "z"]],
        ["2026-01-31 00:00", "2026-01-31T00:30Z", "z", 1, None],
    ),
    ([0, 1, 2, 0.5], [[0, 1], [1, 1], [0.5, 2]], [1.0, True, False, "1", 10**15, 1e15, None, [1, "1", True]]),
    ([True, False, 1], [[0, 1]], ["true", 0, None, [True, 1]]),
)


@st.composite
def _tests(draw: st.DrawFn) -> tuple[Json, list[Any]]:
    """A test, and values made for it."""
    operands, ranges, others = draw(st.sampled_from((_POOLS[0], *_POOLS)))
    forms: list[tuple[tuple[str, ...], st.SearchStrategy[Any]]] = [
        (("eq", "neq", "contains", "does_not_contain"), st.sampled_from(operands)),
        (("between", "not_between"), st.sampled_from(ranges)),
        (("in", "not_in"), st.lists(st.sampled_from(operands), min_size=1, max_size=2)),
        (("gt", "gte", "lt", "lte"), st.sampled_from([value for value in operands if not isinstance(value, bool)])),
        (("is_set", "is_not_set", "is_true", "is_false"), st.none()),
    ]
    if "pro" in operands:
        patterns = ("^p", "o$", "r?ee", "[A-Z]", "^$", ".")
        forms += [(("starts_with", "ends_with"), st.sampled_from(operands))]
        forms += [(("matches_regex",), st.sampled_from(patterns))] * 2
    operators, values = draw(st.sampled_from(forms))
    value = draw(values)
    test = {"operator": draw(st.sampled_from(operators))} | ({} if value is None else {"value": value})
    return test, [*operands, *others]


@st.composite
def values(draw: st.DrawFn) -> Theme:
    """A test on a property of an event, of the user, or of a filter."""
    test, pool = draw(_tests())
    name = draw(st.sampled_from(("plan", "a.b")))
    test |= {"property": name}
    condition = draw(
        st.sampled_from(
            (
                {"type": "event_property", "event_type": "view"} | test,
                {"type": "user_property"} | test,
                {"type": "event_count", "event_type": "view", "operator": "eq", "value": 1, "filters": [test]},
            )
        )
    )
    value = st.sampled_from(pool)
    payloads = [value.map(lambda each: {name: each})] * 4 + [st.just({})]
    if name == "a.b":
        payloads += [value.map(lambda each: {"a": {"b": each}})]
        payloads += [st.tuples(value, value).map(lambda two: {"a.b": two[0], "a": {"b": two[1]}})] * 2
    log = draw(_logs(("view", "view", "context_identified"), st.one_of(payloads)))
    return alone([condition | draw(_negate)]), log


_CONTEXT = "context_identified"
_ONE = {"filters": [{"property": "total", "operator": "eq", "value": 1}]}


@st.composite
def sequences(draw: st.DrawFn) -> Theme:
    """A sequence of two or three steps of two types, with or without filters, short of time."""
    one, two = draw(st.sampled_from((("view", "order"), (_CONTEXT, "order"), ("order", _CONTEXT))))
    steps = draw(st.sampled_from(((one, two), (one, two, one), (one, one), (one, one, two))))
    return _sequence(draw, steps, (one, two, one, two, "search"), draw(_short_window))


@st.composite
def strict_sequences(draw: st.DrawFn) -> Theme:
    """A strict sequence of which the event that never interrupts is a step, among such that do."""
    one, two = draw(st.sampled_from(((_CONTEXT, "view"), ("view", _CONTEXT), ("view", "order"))))
    steps = draw(st.sampled_from(((one, two), (one, two, one))))
    return _sequence(draw, steps, (one, two, _CONTEXT, "search"), {"window_minutes": 1, "strict": True})


def _sequence(draw: st.DrawFn, steps: tuple[str, ...], types: tuple[str, ...], keys: Json) -> Theme:
    events = [{"event_type": step} | _ONE if draw(st.booleans()) else step for step in steps]
    condition = {"type": "event_sequence", "events": events} | keys | draw(_negate)
    return alone([condition]), draw(_logs(types, st.sampled_from(({"total": 1}, {"total": 1}, {}))))


repeats: st.SearchStrategy[Theme] = st.tuples(
    st.integers(0, 4).map(
        lambda number: alone([{"type": "event_count", "event_type": "view", "operator": "eq", "value": number}])
    ),
    _logs(("view",), st.just({}), ids=("x", "x", "x", None), steps=(SECOND, DAY // 2, DAY - 1, DAY)),
)

_any = st.one_of(numbers(), values(), sequences(), strict_sequences())


def _referred_to(drawn: tuple[Theme, int, str, Json]) -> Theme:
    (definitions, log), segment_id, operator, negate = drawn
    reference = {"type": "segment_membership", "segment_id": segment_id, "operator": operator} | negate
    return [*alone([reference]), *definitions], log


references = st.tuples(_any, st.sampled_from((2, 2, 99)), st.sampled_from(("in", "not_in")), _negate).map(_referred_to)

THEMES: dict[str, st.SearchStrategy[Theme]] = {
    "numbers": numbers(),
    "values": values(),
    "sequences": sequences(),
    "strict sequences": strict_sequences(),
    "repeats": repeats,
    "references": references,
}
EXAMPLES = 2_000
"""Of each theme, wherever it is looked at."""
