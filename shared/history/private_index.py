"""A private database of what must be known of a partition's earlier rows."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Protocol, Self, TypeVar


class Placed(Protocol):
    """A row that knows its place in the log."""

    @property
    def offset(self) -> int: ...


RowT = TypeVar("RowT", bound=Placed)
MarkT = TypeVar("MarkT")


class PrivateIndex(ABC, Generic[RowT, MarkT]):
    """Says what the next rows of a partition are beside the earlier ones.

    Never the truth: a private database of this process that lies in memory and, grown, in a temporary file; it is made
    anew from the history when a partition is taken. What `mark` took in counts once `keep` is called; `undo` forgets
    it. For one thread at a time.
    """

    def __init__(self, tables: str) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;" + tables)
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    @abstractmethod
    def mark(self, rows: Sequence[RowT]) -> list[MarkT]:
        """What each of the next rows of the partition is; in the order of their offsets, each once."""

    def keep(self) -> None:
        """What was marked since the last call is history."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def undo(self) -> None:
        """What was marked since the last `keep` is not history: the same rows will come again."""
        self._db.execute("ROLLBACK")
        self._db.execute("BEGIN")
