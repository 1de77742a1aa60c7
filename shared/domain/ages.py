"""The ages of the newest event at which a recency is true."""

from shared.domain.condition import Recency
from shared.domain.user_state import NEVER


def ages_of(condition: Recency) -> tuple[int, int]:
    """With age = as_of - newest (us): the one stretch [begin, end) in which it is true; `negate` is not looked at."""
    window, unit = condition.window_us, condition.unit_us
    units = window // unit
    return {
        "lt": (0, window),
        "lte": (0, window + 1),
        "gt": (window + 1, NEVER),
        "gte": (window, NEVER),
        "eq": (units * unit, (units + 1) * unit),
    }[condition.operator]
