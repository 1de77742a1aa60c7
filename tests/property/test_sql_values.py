"""Values in SQL against the kernel: any name, any value, any test; times, patterns and numbers at their edges."""

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.condition import Filter
from shared.domain.event_filter import event_filter
from shared.domain.times import parse_time
from shared.domain.value_test import Operator, Scalar, ValueTest, scalar_of
from shared.history.payload_text import payload_text
from shared.history.sql_values import Parameters, filters_sql, instant_sql, micro_units_sql, number_sql
from tests.support.sql import archived, previewed
from tests.support.strategies import alone, log_of

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
_odd_text = st.one_of(_text, st.text(st.sampled_from("a.\"\\/*$[]0~'\n\x1fé\U0001f600"), max_size=3))
_numbers = st.one_of(
    st.sampled_from((0, -0.0, 1, 1.0, 1e-6, 5e-7, 1.5e-6, 1e-7, 0.1, 8.2, 1e15, 10**15, 999_999_999_999_999.9, -1e14)),
    st.integers(-(10**16), 10**16),
    st.floats(allow_nan=False, allow_infinity=False),
)
_scalars = st.one_of(_odd_text, _numbers, st.booleans())
_values = st.recursive(
    st.one_of(_scalars, st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_odd_text, inner, max_size=2)),
    max_leaves=5,
)
_names = st.lists(_odd_text.filter(lambda part: part and "." not in part), min_size=1, max_size=3).map(".".join)


def _scalar(value: Any) -> Scalar:
    found = scalar_of(value)
    return Scalar("number", 0) if found is None else found


@st.composite
def _tests(draw: st.DrawFn, values: list[Any]) -> ValueTest:
    """A test whose operands are, as often as not, among the values that it is asked of."""
    scalars = [value for value in values if isinstance(value, str | int | float)]
    operand = st.one_of(_scalars, st.sampled_from(scalars)) if scalars else _scalars
    operators: tuple[Operator, ...] = ("eq", "neq", "contains", "does_not_contain", "in", "not_in", "is_set")
    operators += ("gt", "gte", "lt", "lte", "between", "not_between", "starts_with", "ends_with", "is_not_set")
    operator = draw(st.sampled_from((*operators, "is_true", "is_false")))
    if operator in ("in", "not_in"):
        return ValueTest(operator, tuple(map(_scalar, draw(st.lists(operand, min_size=1, max_size=3)))))
    if operator in ("gt", "gte", "lt", "lte", "between", "not_between", "starts_with", "ends_with"):
        kind = st.sampled_from(["texts"] if operator.endswith("_with") else ["texts", "numbers"])
        drawn = _odd_text if draw(kind) == "texts" else _numbers
        count = 2 if "between" in operator else 1
        return ValueTest(operator, tuple(_scalar(draw(drawn)) for _ in range(count)))
    return ValueTest(operator, () if operator.startswith("is_") else (_scalar(draw(operand)),))


@st.composite
def _payloads(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Filter]]:
    """Payloads around one name, which is a key, a path or both; and filters on it."""
    name, values = draw(_names), draw(st.lists(_values, min_size=4, max_size=4))
    payloads: list[dict[str, Any]] = [{}]
    for value in values:
        nested: Any = value
        for part in reversed(name.split(".")):
            nested = {part: nested}
        payloads += draw(st.sampled_from(([{name: value}], [nested], [nested | {name: draw(_values)}])))
    flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return payloads, [Filter(name, test) for test in draw(st.lists(_tests(flat), min_size=6, max_size=6))]


@settings(max_examples=200)
@given(_payloads())
def test_a_filter_passes_the_payloads_that_the_kernel_passes(drawn: tuple[list[dict[str, Any]], list[Filter]]) -> None:
    payloads, filters = drawn
    parameters = Parameters()
    rows = [payload_text(payload) for payload in payloads]
    columns = ", ".join(f"coalesce({filters_sql((each,), parameters)}, false)" for each in filters)
    found = _asked(f"SELECT {columns} FROM (SELECT unnest({parameters.add(rows)}) AS payload)", parameters)
    kernels = [event_filter((each,)) for each in filters]
    assert found == [tuple(passes(payload) for passes in kernels if passes is not None) for payload in payloads]


@settings(max_examples=100)
@given(st.lists(_values, min_size=5, max_size=5))
def test_a_number_is_the_kernels(values: list[Any]) -> None:
    parameters = Parameters()
    rows = [payload_text({"x": value}).removeprefix('{"x":').removesuffix("}") for value in values]
    number = micro_units_sql(number_sql("value"))
    found = _asked(f"SELECT {number} FROM (SELECT unnest({parameters.add(rows)}) AS value)", parameters)
    scalars = [scalar_of(value) for value in values]
    assert found == [(each.value if each is not None and each.type == "number" else None,) for each in scalars]


_two = st.sampled_from(("00", "01", "02", "12", "13", "23", "24", "28", "29", "30", "31", "32", "59", "60"))
_dates = st.builds(
    "{}-{}-{}".format, st.sampled_from(("0000", "0001", "1900", "1970", "2024", "2026", "9999")), _two, _two
)
_clocks = st.one_of(
    st.builds("{}{}:{}".format, st.sampled_from("T _t"), _two, _two),
    st.builds("{}{}:{}:{}".format, st.sampled_from("TT  "), _two, _two, _two),
    st.builds("T{}:{}:{}.{}".format, _two, _two, _two, st.text("0159", max_size=7)),
)
_zones = st.one_of(
    st.sampled_from(("", "Z", "z", " Z", "+0100", "+01", "-00:00")),
    st.builds("{}{}:{}".format, st.sampled_from("+-"), _two, _two),
)
_times = st.one_of(_dates, st.builds("{}{}{}".format, _dates, _clocks, _zones), _text)


@settings(max_examples=200)
@given(st.lists(_times, min_size=20, max_size=20))
def test_a_text_is_the_time_that_the_kernel_reads_or_none(texts: list[str]) -> None:
    parameters = Parameters()
    found = _asked(f"SELECT {instant_sql('x')} FROM (SELECT unnest({parameters.add(texts)}) AS x)", parameters)
    assert found == [(parse_time(text),) for text in texts]


PATTERNS = ("a.b", "(?i)A", "(?<n>a)", r"\(?<", r"[(?<]", r"[]\]](?<x>)", r"\Q(?<\E", "(?P<n>b)", r"\pL", "(?s)a.b", "")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_found_where_the_kernel_finds_it(pattern: str) -> None:
    filters = (Filter("x", ValueTest("matches_regex", (Scalar("string", pattern),))),)
    passes, parameters = event_filter(filters), Parameters()
    assert passes is not None
    texts = ("a", "A", "a.b", "a\nb", "(<", "(?<", "]", "]]", "b", "", "é", "1")
    rows = parameters.add([payload_text({"x": text}) for text in texts])
    found = _asked(f"SELECT {filters_sql(filters, parameters)} FROM (SELECT unnest({rows}) AS payload)", parameters)
    assert [bool(row[0]) for row in found] == [passes({"x": text}) for text in texts]


def test_sums_and_averages_of_the_largest_numbers_are_exact() -> None:
    largest = 999_999_999_999_999.9
    log = log_of([(1, 0, "view", {"total": largest}, None, 1)] * 2_000)
    condition = {"type": "monetary", "event_type": "view", "property": "total", "metric": "avg", "value": largest}
    asked = alone(condition | {"operator": operator} for operator in ("gte", "gt", "lte"))
    connection = archived([log])
    assert [previewed(connection, each, log[-1].received_at).matched for each in asked] == [1, 0, 1]


def _asked(sql: str, parameters: Parameters) -> list[Any]:
    return duckdb.execute(sql, parameters.values).fetchall()
