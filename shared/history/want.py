"""What a backfill asks the history for."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.domain.aggregate import Aggregate
from shared.domain.condition import EventTypes, event_types


class Want(NamedTuple):
    """An aggregate of the events below a cutover; `windows` and `newest` as `SlotPlan` has them.

    below: by partition an offset; the rows of the partition below it count. Rows of other partitions do not.
    """

    aggregate: Aggregate
    windows: tuple[int, ...]
    newest: int
    below: Mapping[int, int]

    @property
    def event_types(self) -> EventTypes:
        """Of the events that are looked at."""
        if self.aggregate.sequence is not None:
            return event_types(self.aggregate.sequence)
        return EventTypes(frozenset((self.aggregate.event_type,)))
