"""Which files of the table of changes have changes behind a position."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow.parquet as pq

from shared.history.errors import HistoryUnavailable
from shared.history.schema import CHANGES

_POSITION = CHANGES.file_columns.get_field_index("position")


class Positions(NamedTuple):
    """The first and the last position in a file."""

    first: int
    last: int


class ChangeFiles:
    """Knows the positions in files, of which each is looked at once: a file never changes."""

    def __init__(self) -> None:
        self._known: dict[str, Positions] = {}

    def between(self, files: Iterable[str], after: int, until: int) -> list[str]:
        """Those that may have positions after the one, and not after the other. Raises HistoryUnavailable."""
        self._known = {file: self._known.get(file) or _positions(file) for file in files}
        return [file for file, at in self._known.items() if at.last > after and at.first <= until]


def _positions(file: str) -> Positions:
    try:
        footer = pq.read_metadata(file)
    except (OSError, ValueError) as fault:
        raise HistoryUnavailable(f"{file}: {fault}") from fault
    groups = [footer.row_group(group).column(_POSITION).statistics for group in range(footer.num_row_groups)]
    return Positions(min(group.min for group in groups), max(group.max for group in groups))
