"""How many bytes a definition may keep of one user, before anybody is a user of it."""

from collections.abc import Iterable, Mapping

from shared.domain import bucket, sequence
from shared.domain.aggregate import Aggregate, by_aggregate
from shared.domain.comparison import newest_needed
from shared.domain.condition import EventCount, EventSequence, Gathering, Monetary

INTEGER = 9
"""Of an instant in microseconds, or of a number of micro-units; a number above 9.2e12 takes up to 25."""
VALUE = 64
"""Of the newest value of a property; a text in a payload may have up to 32 KiB."""
SLOT = 45
"""Of the key of a slot (content hash, offset) and the heads of its list."""
_BUCKETS = 2 * bucket.PER_WINDOW + 1
"""Of one window: a bucket spans more than half of a 1,024th of it."""
_MASK = 3


def state_bytes(conditions: Iterable[Gathering]) -> Mapping[Aggregate, int]:
    """The bytes that each aggregate of these conditions takes in the stored state of a user with very many events.

    A slot takes 45 bytes and what its list holds, at 9 bytes an integer (msgpack):

    - count, newest time, totals: 1, 1 and 4 integers
    - newest value: 2 integers and 64 bytes for the value
    - times: one integer for each of the newest times that decide (N, or N + 1); of N above 4,096 the newest 4,096, and
      2 for each of 2,049 buckets a window
    - pairs: 2 integers for each of 4,096 entries, and 5 for each of 2,049 buckets a window
    - sequence: 4,096 entries of 2 integers and 3 bytes

    Conditions with one aggregate share it. What a user with fewer events keeps is less in proportion.
    """
    sharing = by_aggregate(conditions)
    return {aggregate: SLOT + _list_bytes(aggregate, sharers) for aggregate, sharers in sharing.items()}


def _list_bytes(aggregate: Aggregate, conditions: list[Gathering]) -> int:
    windows = len({c.window_us for c in conditions if isinstance(c, EventCount | Monetary)})
    match aggregate.kind:
        case "times":
            needed = max(newest_needed(c.operator, c.value) for c in conditions if isinstance(c, EventCount))
            if needed <= bucket.LIMIT:
                return INTEGER * (1 + needed)
            return INTEGER * (1 + bucket.LIMIT + 2 * _BUCKETS * windows)
        case "pairs":
            return INTEGER * (1 + 2 * bucket.LIMIT + 5 * _BUCKETS * windows)
        case "sequence" if isinstance(aggregate.sequence, EventSequence):
            return INTEGER * (2 + len(aggregate.sequence.steps)) + (2 * INTEGER + _MASK) * sequence.LIMIT
        case "value":
            return 2 * INTEGER + VALUE
    return INTEGER * (4 if aggregate.kind == "totals" else 1)
