"""Which definitions one more event can only make true, or keep true for longer."""

from shared.domain.condition import Definition, EventCount, Group, Item, Monetary, Recency, leaves

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
    if item.negate:
        return False
    if isinstance(item, Group):
        return all(map(_grows, item.conditions))
    if isinstance(item, EventCount):
        return item.operator in _MORE
    if isinstance(item, Recency):
        return item.operator in _LESS
    if item.metric == "min":
        return item.operator in _LESS
    # a sum in a window keeps no least number to look at
    return item.operator in _MORE and (item.metric == "max" or (item.metric == "sum" and item.window_us is None))
