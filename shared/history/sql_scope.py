"""What all parts of a statement share: its parameters, whose events are looked at, until when, and named columns."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from shared.history.sql_values import Parameters, in_list

COMPARE = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_ALL = -1
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def instant(us: int) -> datetime:
    """An instant in microseconds since 1970, as a value for DuckDB: what lies before is one microsecond before 1970,
    where nothing lies, and what lies after the year 9999 is its end.
    """
    return _EPOCH + timedelta(microseconds=min(max(us, _BEFORE_ALL), _LAST))


class Columns:
    """Expressions of a SELECT with the names of their columns; an equal one is there once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def add(self, what: str, expression: str) -> str:
        """The name of the column, `<what>_1`."""
        if expression not in self._names:
            self._counts[what] = self._counts.get(what, 0) + 1
            self._names[expression] = f"{what}_{self._counts[what]}"
        return self._names[expression]

    def listed(self, *first: str) -> str:
        """What stands behind SELECT."""
        return ",\n    ".join([*first, *(f"{expression} AS {name}" for expression, name in self._names.items())])

    def __bool__(self) -> bool:
        return bool(self._names)


class Scope:
    """The events of one tenant that count at an instant; with `one_in` only those of a sample of its users."""

    def __init__(self, tenant: int, as_of_us: int, one_in: int | None = None) -> None:
        self.parameters = Parameters()
        self.as_of_us = as_of_us
        self._conditions = [
            f"tenant = {self.parameters.add(tenant)}",
            "NOT is_repeat",
            f"occurred_at <= {self.instant(as_of_us)}",
        ]
        if one_in is not None:
            # a BIGINT would make the remainder one of HUGEINT, which takes five times as long
            self._conditions.append(f"hash(user_id) % CAST({self.parameters.add(one_in)} AS UBIGINT) = 0")

    def instant(self, us: int) -> str:
        """The name of an instant in microseconds; one microsecond before 1970, where no event lies, for all before."""
        return self.parameters.add(instant(us))

    def events(self, event_types: Collection[str] | None, after_us: int | None, *conditions: str) -> str:
        """FROM and WHERE of the events of these types (None: all) after an instant."""
        where = [*self._conditions]
        if event_types is not None:
            where.append(in_list("event_type", [self.parameters.add(each) for each in sorted(event_types)]))
        if after_us is not None:
            where.append(f"occurred_at > {self.instant(after_us)}")
        return "FROM events\n  WHERE " + "\n    AND ".join([*where, *conditions])

    def known(self) -> str:
        """The known users."""
        return f"SELECT DISTINCT user_id\n  {self.events(None, None, 'makes_known')}"
