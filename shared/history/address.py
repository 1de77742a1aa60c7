"""Where the history lies, and one of its tables."""

from dataclasses import dataclass
from typing import Self

from shared.history.schema import EVENTS, TableSchema
from shared.runtime.address import Address


@dataclass(frozen=True)
class HistoryAddress(Address):
    """The address of a history, and one of its tables, which lies in a folder of it."""

    schema: TableSchema = EVENTS

    @classmethod
    def of(cls, text: str, schema: TableSchema = EVENTS) -> Self:
        """The address that the setting `history` names: a folder, or `s3://bucket/prefix`."""
        return cls(Address.of(text).uri, schema)

    @property
    def table(self) -> Address:
        """The place of the table."""
        return self.below(self.schema.name)
