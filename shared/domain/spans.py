"""Sets of numbers, as half-open spans [low, high) that ascend and have no number in common."""

from shared.domain.comparison import CountOperator

INFINITY = float("inf")

Spans = tuple[tuple[float, float], ...]

ALL: Spans = ((-INFINITY, INFINITY),)
NATURAL: Spans = ((0, INFINITY),)
NOTHING: Spans = ()


def compared_with(op: CountOperator, value: int) -> Spans:
    """The integers that compare so with `value`."""
    match op:
        case "eq":
            return ((value, value + 1),)
        case "neq":
            return ((-INFINITY, value), (value + 1, INFINITY))
        case "gt":
            return ((value + 1, INFINITY),)
        case "gte":
            return ((value, INFINITY),)
        case "lt":
            return ((-INFINITY, value),)
        case "lte":
            return ((-INFINITY, value + 1),)


def complement(spans: Spans) -> Spans:
    """All other numbers."""
    ends = [-INFINITY, *(end for span in spans for end in span), INFINITY]
    return tuple((low, high) for low, high in zip(ends[::2], ends[1::2], strict=True) if low < high)


def intersection(one: Spans, other: Spans) -> Spans:
    """The numbers in both."""
    both = []
    mine, theirs = 0, 0
    while mine < len(one) and theirs < len(other):
        (low, high), (begin, end) = one[mine], other[theirs]
        if max(low, begin) < min(high, end):
            both.append((max(low, begin), min(high, end)))
        if high < end:
            mine += 1
        else:
            theirs += 1
    return tuple(both)


def least_from(spans: Spans, low: float) -> float | None:
    """The least number that is not below `low`; None when there is none."""
    return next((max(begin, low) for begin, end in spans if end > low), None)
