"""Where the history lies."""

from shared.history.schema import EVENTS_TABLE
from shared.runtime.address import Address


class HistoryAddress(Address):
    """The address of a history: its tables lie in folders of it."""

    @property
    def table(self) -> Address:
        """The place of the table of events."""
        return self.below(EVENTS_TABLE)

    @property
    def events(self) -> str:
        """Address of the table of events."""
        return self.table.uri
