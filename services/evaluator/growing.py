"""Which definitions one more event can only make true, or keep true for longer."""

from shared.domain.condition import Definition, EventCount, EventSequence, Group, Item, Monetary, Recency, leaves

_MORE = ("gt", "gte")
_LESS = ("lt", "lte")


def only_grows(definition: Definition) -> bool:
    """Whether another event, of any time, never makes the answer false nor its end earlier.

    For a member of such a segment whose end is known to Redis as soft, or who has none, an event changes nothing
    that anybody can see, so nothing need be evaluated. Sums are taken to grow: that holds while none of the
    numbers added is negative (`sums`), which is for the caller to see. Says no whenever it is not plain.
    """
    return _grows(definition)


def sums(definition: Definition) -> list[Monetary]:
    """The conditions whose growing rests on numbers that are not negative."""
    return [leaf for leaf in leaves(definition) if isinstance(leaf, Monetary) and leaf.metric == "sum"]


def _grows(item: Item) -> bool:
    match item:
        case Group(negate=False):
            grows = all(map(_grows, item.conditions))
        case EventCount(negate=False):
            grows = item.operator in _MORE
        case Recency(negate=False):
            grows = item.operator in _LESS
        case EventSequence(negate=False):
            grows = not item.strict
        case Monetary(metric="min", negate=False):
            grows = item.operator in _LESS
        case Monetary(metric="max", negate=False) | Monetary(metric="sum", window_us=None, negate=False):
            # a sum in a window keeps no least number to look at
            grows = item.operator in _MORE
        case _:
            grows = False
    return grows
