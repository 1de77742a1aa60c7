"""Which definitions one more event can only make true, or keep true for longer."""

from shared.domain.condition import Definition, EventCount, Group, Item, Recency

_MORE = ("gt", "gte")
_LESS = ("lt", "lte")


def only_grows(definition: Definition) -> bool:
    """Whether another event, of any time, never makes the answer false nor its end earlier.

    For a member of such a segment whose end is known to Redis as soft, or who has none, an event changes nothing
    that anybody can see, so nothing need be evaluated. Says no whenever it is not plain.
    """
    return _grows(definition)


def _grows(item: Item) -> bool:
    if item.negate:
        return False
    if isinstance(item, Group):
        return all(map(_grows, item.conditions))
    if isinstance(item, EventCount):
        return item.operator in _MORE
    if isinstance(item, Recency):
        return item.operator in _LESS
    return (item.metric == "max" and item.operator in _MORE) or (item.metric == "min" and item.operator in _LESS)
