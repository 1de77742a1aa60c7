"""One statement that reads rows of the history once and aggregates them by user, whatever is asked of them."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from shared.domain.condition import PROPERTIES_EVENT, EventTypes, Filters
from shared.history.known_users import Range
from shared.history.sql_values import Parameters, filters_sql
from shared.history.statement import Statement
from shared.history.want import Want

USER_BYTES, COLUMN_BYTES = 128, 32
"""What DuckDB takes for one user, and for an aggregate of one."""
LIST_SLACK = 2
"""How many times its elements a list takes while it grows."""


class RowsByUser:
    """Collects conditions on rows, values of rows, and aggregates over them, each once however many ask for it.

    Values may use `instant` (occurred_at in us), log_offset, payload and conditions; aggregates may use all of these.
    """

    def __init__(self, tenant: int, log_epoch: str, wants: Sequence[Want]) -> None:
        self.parameters = Parameters()
        self._conditions: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._aggregates: dict[str, str] = {}
        self._results: dict[str, str] = {}
        self._listed: list[tuple[EventTypes, int]] = []
        self._user_bytes = USER_BYTES
        self._types = reduce(or_, (want.event_types for want in wants))
        belows = list(dict.fromkeys(self._below(want.below) for want in wants))
        self._one_below = len(belows) == 1
        self._where = [
            f"tenant = {self.parameters.add(tenant)}",
            f"log_epoch = {self.parameters.add(log_epoch)}",
            "NOT is_repeat",
            self._of_types(self._types),
            f"({' OR '.join(belows)})",
        ]

    @property
    def has_lists(self) -> bool:
        """Whether the memory needed depends on the number of rows."""
        return bool(self._listed)

    def needed_bytes(self, users: int, rows_by_type: Mapping[str, int]) -> int:
        """About the memory that the aggregates take, of so many users, with so many rows of each event type."""
        listed = sum(
            width * rows for types, width in self._listed for name, rows in rows_by_type.items() if types.has(name)
        )
        return users * self._user_bytes + LIST_SLACK * listed

    def counts(self, want: Want, filters: Filters = ()) -> str:
        """The condition that a row counts for a want: its type, its place in the log, its payload."""
        return self.condition(want, self._of_types(want.event_types), filters)

    def condition(self, want: Want, of_type: str, filters: Filters) -> str:
        """The name of a condition on the type of a row, its payload and its place in the log; or NULL for false."""
        needed = [] if self._one_below else [self._below(want.below)]
        if of_type != self._of_types(self._types):
            needed.append(of_type)
        if filters:
            # not AND: that reads the payloads of all rows
            needed = [f"CASE WHEN {_all(needed)} THEN {filters_sql(filters, self.parameters)} END"]
        return _named("c", self._conditions, _all(needed))

    def of_type(self, event_type: str) -> str:
        """SQL of a row's type."""
        return self._of_types(EventTypes(frozenset((event_type,))))

    def value(self, sql: str) -> str:
        """The name of a value of each row."""
        return _named("v", self._values, sql)

    def aggregate(self, sql: str, width: int = COLUMN_BYTES) -> str:
        """The name of an aggregate that takes so many bytes."""
        if sql not in self._aggregates:
            self._user_bytes += width
        return _named("a", self._aggregates, sql)

    def listed(self, sql: str, want: Want, width: int) -> str:
        """The name of an aggregate that takes so many bytes for each row of the types of a want."""
        if sql not in self._aggregates:
            self._listed.append((want.event_types, width))
        return self.aggregate(sql)

    def result(self, sql: str) -> str:
        """The name of a value of each user, of aggregates."""
        return _named("r", self._results, sql)

    def statement(self, users: Range) -> Statement:
        """One row for each of these users that has rows: log_partition, user_id, the aggregates and the results."""
        values = dict(self.parameters.values)
        where = list(self._where)
        for bound, comparison, value in (("low", ">=", users.low), ("high", "<", users.high)):
            if value is not None:
                values[bound] = value
                where.append(f"user_id {comparison} ${bound}")
        conditions, computed, aggregates, results = (
            "".join(f", {sql} AS {name}" for sql, name in columns.items())
            for columns in (self._conditions, self._values, self._aggregates, self._results)
        )
        rows = "log_partition, user_id, log_offset, payload, epoch_us(occurred_at) AS instant"
        sql = f"SELECT {rows}{conditions} FROM events WHERE {' AND '.join(where)}"
        sql = f"SELECT *{computed} FROM ({sql})"
        sql = f"SELECT log_partition, user_id{aggregates} FROM ({sql}) GROUP BY log_partition, user_id"
        if results:
            sql = f"SELECT *{results} FROM ({sql})"
        return Statement(sql, values)

    def _of_types(self, types: EventTypes) -> str:
        named = [self.parameters.add(event_type) for event_type in sorted(types.named)]
        if types.others:
            others = f"event_type <> {self.parameters.add(PROPERTIES_EVENT)}"
            return others if PROPERTIES_EVENT not in types.named else "true"
        return f"event_type IN ({', '.join(named)})"

    def _below(self, below: Mapping[int, int]) -> str:
        offsets = [below.get(partition, 0) for partition in range(max(below, default=-1) + 1)]
        # NULL, so no row, for partitions beyond the list
        return f"log_offset < list_extract({self.parameters.add(offsets)}, log_partition + 1)"


def _all(needed: list[str]) -> str:
    return " AND ".join(needed) or "true"


def _named(letter: str, columns: dict[str, str], sql: str) -> str:
    return columns.setdefault(sql, f"{letter}{len(columns)}")
