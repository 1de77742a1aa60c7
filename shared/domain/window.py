"""Windows: how long a definition looks back, in whole microseconds."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

from shared.domain.times import DAY_US, HOUR_US, SECOND_US

UNITS_US = {
    "window_days": DAY_US,
    "window_hours": HOUR_US,
    "window_minutes": 60 * SECOND_US,
    "window_seconds": SECOND_US,
}
"""The window keys of a condition, and the microseconds of one unit."""

MAX_WINDOW_US = 3_650 * DAY_US

_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def window_us(value: float, unit_us: int) -> int | None:
    """A window in us: its decimal value times the unit, half-even, at least 1; None when not above 0 or over 3650 d."""
    exact = _EXACT.multiply(Decimal(repr(value)), Decimal(unit_us))
    if not 0 < exact <= MAX_WINDOW_US:
        return None
    return max(1, int(exact.quantize(Decimal(1), context=_EXACT)))
