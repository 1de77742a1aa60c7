"""Numbers of payloads and definitions, as integers of 1e-6, so that a sum does not depend on the order of its terms."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

MICRO = 1_000_000
"""Micro-units in one."""
LIMIT = 1e15
"""A number of this size or more is mistyped in a payload and refused in a definition."""

_WHOLE = 1 << 53
"""Readers of JSON may take a number for a double, which holds every integer below it."""
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
_ONE = Decimal(1)


def to_micro_units(value: float) -> int | None:
    """The number in units of 1e-6, rounded half-even from its shortest decimal form; None at 1e15 or more.

    Not finite: None. A boolean is no number; the caller sorts it out.
    """
    if type(value) is float:
        scaled = value * 1e6
        if -1e12 < scaled < 1e12:
            nearest = round(scaled)
            # The product and the shortest decimal form are each within 2^-53 of the double, together below 0.0003
            # here: away from a half the nearest integer is the answer.
            if -0.499 < scaled - nearest < 0.499:
                return nearest
        return _of_double(value) if -LIMIT < value < LIMIT else None
    return int(value) * MICRO if -LIMIT < value < LIMIT else None


def number_of(micro: int, count: int = 1) -> float:
    """The number that so many micro-units are, for JSON: an integer where it is one that every reader of JSON knows.

    With a `count` it is divided by that: the double nearest to the quotient.
    """
    whole, rest = divmod(micro, MICRO * count)
    return whole if not rest and -_WHOLE < whole < _WHOLE else micro / (MICRO * count)


def _of_double(value: float) -> int:
    nearest = round(value * 1e6)
    # Decimals of at most 15 digits map to different doubles, so this one is the shortest form itself.
    if -1e15 < nearest < 1e15 and nearest / 1e6 == value:
        return nearest
    return int(_EXACT.multiply(Decimal(repr(value)), Decimal(MICRO)).quantize(_ONE, context=_EXACT))
