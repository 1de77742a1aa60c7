"""The readers of numbers, windows and times against their plain definitions, on any input."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.numbers import to_micro_units
from shared.domain.times import parse_time
from shared.domain.window import UNITS_US, window_us

_BIG = Context(prec=500, rounding=ROUND_HALF_EVEN)

nearly_halves = st.builds(
    lambda whole, tail: (whole + 0.5) / 1e6 + tail, st.integers(-(10**13), 10**13), st.floats(-1, 1)
)
halves = st.integers(-(10**12), 10**12).map(lambda micro: float(Decimal(2 * micro + 1) / Decimal(2 * 10**6)))
decimals = st.tuples(st.integers(-(10**17), 10**17), st.integers(0, 12)).map(lambda p: float(f"{p[0]}e-{p[1]}"))
numbers = st.one_of(st.floats(), st.floats(-1e15, 1e15), st.integers(), halves, nearly_halves, decimals)


@settings(max_examples=1_000)
@given(numbers)
@example(1e15)
@example(-1e15)
@example(999_999_999_999_999.9)
@example(0.0000005)
@example(0.0000015)
@example(2.5000005)
@example(4503599627.3704955)
def test_micro_units_are_the_shortest_decimal_form_half_even(value: float) -> None:
    if not abs(value) < 10**15:
        assert to_micro_units(value) is None
        return
    exact = Decimal(repr(value)).scaleb(6, context=_BIG)
    assert to_micro_units(value) == int(exact.quantize(Decimal(1), context=_BIG))


@given(st.one_of(st.integers(-10, 10**12), st.floats(-1, 1e12)), st.sampled_from(sorted(UNITS_US.values())))
def test_a_window_is_its_decimal_value_times_the_unit_half_even_at_least_one(value: float, unit: int) -> None:
    exact = Fraction(Decimal(repr(value))) * unit
    if 0 < exact <= 3_650 * 86_400 * 10**6:
        assert window_us(value, unit) == max(1, round(exact))
    else:
        assert window_us(value, unit) is None


_GRAMMAR = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](([01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
)


def by_definition(text: str) -> int | None:
    """A time read step by step with the standard library."""
    match = _GRAMMAR.fullmatch(text)
    if match is None or (match[5] and not match[4]):
        return None
    try:
        day = datetime.strptime(match[1], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    clock = f"{match[2] or '00:00'}{match[4] or ':00'}"
    hours, minutes, seconds = map(int, clock.split(":"))
    since = timedelta(
        hours=hours, minutes=minutes, seconds=seconds, microseconds=int((match[5] or ".")[1:].ljust(6, "0"))
    )
    zone = match[6] or "Z"
    if zone != "Z":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        since -= shift if zone[0] == "+" else -shift
    return (day - datetime(1970, 1, 1, tzinfo=UTC) + since) // timedelta(microseconds=1)


_parts: tuple[st.SearchStrategy[str], ...] = (
    st.sampled_from(("2026-04-25", "1969-12-31", "2024-02-29", "2023-02-29", "2026-13-01", "0000-01-01", "20260425")),
    st.sampled_from(("T", " ", "", "t", "  ")),
    st.sampled_from(("12:00", "23:59", "24:00", "12:60", "1:00", "12", "", "\u0661\u0662:00")),
    st.sampled_from((":00", ":59", ":60", "", ":5")),
    st.sampled_from(("", ".1", ".123", ".123456", ".1234567", ".", ",5", ".1_2")),
    st.sampled_from(("", "Z", "z", "+02:00", "-23:59", "+24:00", "+0200", "+02", "-00:00")),
)
times = st.one_of(
    st.tuples(*_parts).map("".join),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.datetimes().map(lambda at: at.isoformat(" ", "milliseconds") + "+05:30"),
    st.text("0123456789-:.TZ +", max_size=30),
)


@settings(max_examples=1_000)
@given(times)
@example("2026-04-25T12:00:00Z\n")
@example("2026-W17-6")
@example("2026-04-25Z")
def test_a_time_is_exactly_what_the_grammar_says(text: str) -> None:
    expected = by_definition(text)
    assert parse_time(text) == expected
    assert parse_time(text) == expected  # what is remembered reads the same
