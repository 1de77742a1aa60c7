"""One pass over the events that gathers, of each user, what all conditions but sequences need."""

from collections.abc import Collection, Iterable, Iterator
from typing import assert_never

from shared.domain.condition import (
    PROPERTIES_EVENT,
    EventCount,
    EventProperty,
    Filters,
    Gathering,
    Monetary,
    Recency,
    UserProperty,
)
from shared.domain.value_test import ValueTest
from shared.history.sql_scope import COMPARE, Columns, Scope
from shared.history.sql_values import NUMBER, decimal, number_sql, property_sql, test_sql

Plain = EventCount | Recency | Monetary | EventProperty | UserProperty
"""The conditions that are answered by aggregates."""


class Gathered:
    """The pass as common table expressions, and what each condition says by its columns.

    outer: the columns are joined to users whom the pass does not know, and are NULL for them.
    """

    def __init__(self, scope: Scope, conditions: Collection[Plain], *, outer: bool) -> None:
        self._scope, self._parameters, self._outer = scope, scope.parameters, outer
        self._types = {_type_of(condition) for condition in conditions}
        starts = [_after(condition, scope.as_of_us) for condition in conditions]
        self._after = None if None in starts else min(start for start in starts if start is not None)
        self._properties, self._read, self._aggregates = Columns(), Columns(), Columns()

    def tables(self) -> Iterator[tuple[str, str]]:
        """The common table expressions by name, once all conditions have been asked for; the last is `gathered`."""
        source = self._scope.events(self._types, self._after)
        for name, columns in (("looked_at", self._properties), ("read", self._read)):
            if columns:
                yield name, f"SELECT\n    {columns.listed('*')}\n  {source}"
                source = f"FROM {name}"
        aggregates = self._aggregates.listed("user_id", "count(*) AS events")
        yield "gathered", f"SELECT\n    {aggregates}\n  {source}\n  GROUP BY user_id"

    def answer(self, condition: Plain) -> str:
        """What a condition says of a user, `negate` left out: true or false, never NULL."""
        match condition:
            case EventCount():
                looked_at = self._when(condition.event_type, condition.filters, self._window(condition))
                count = self._aggregate("count", "count(*)" if looked_at is None else f"count({_if(looked_at, '1')})")
                count = f"coalesce({count}, 0)" if self._outer else count
                return f"{count} {COMPARE[condition.operator]} {self._parameters.add(condition.value)}"
            case Recency():
                return self._recency(condition)
            case Monetary():
                return self._monetary(condition)
            case EventProperty():
                return self._newest(condition.event_type, condition.property, condition.test)
            case UserProperty():
                return self._newest(PROPERTIES_EVENT, condition.property, condition.test)
        assert_never(condition)

    def _recency(self, condition: Recency) -> str:
        looked_at = self._when(condition.event_type, condition.filters)
        newest = self._aggregate("newest", f"max({_if(looked_at, 'occurred_at')})")
        as_of, window, unit = self._scope.as_of_us, condition.window_us, condition.unit_us
        if condition.operator == "eq":
            units = window // unit
            after, until = (self._scope.instant(as_of - unit * number) for number in (units + 1, units))
            return f"({newest} > {after} AND {newest} <= {until}) IS TRUE"
        # older is earlier
        earlier = {"gt": "<", "gte": "<=", "lt": ">", "lte": ">="}[condition.operator]
        return f"({newest} {earlier} {self._scope.instant(as_of - window)}) IS TRUE"

    def _monetary(self, condition: Monetary) -> str:
        number = self._read.add("number", number_sql(self._property(condition.event_type, condition.property)))
        typed = bool(condition.filters)  # the number itself is NULL for events of another type
        looked_at = self._when(condition.event_type, condition.filters, self._window(condition), typed=typed)
        value = self._parameters.add(decimal(condition.value_micro))
        compare, of = COMPARE[condition.operator], _if(looked_at, number)
        if condition.metric == "avg":
            total, numbers = self._aggregate("sum", f"sum({of})"), self._aggregate("numbers", f"count({of})")
            return f"({total} {compare} {numbers} * CAST({value} AS {NUMBER})) IS TRUE"
        metric = self._aggregate(condition.metric, f"{condition.metric}({of})")
        if condition.metric == "sum":
            return f"coalesce({metric}, 0) {compare} {value}"
        return f"({metric} {compare} {value}) IS TRUE"

    def _newest(self, event_type: str, name: str, test: ValueTest) -> str:
        place = _if(self._when(event_type, ()), "(occurred_at, log_offset)")
        value = self._aggregate("value", f"arg_max_null({self._property(event_type, name)}, {place})")
        return f"({test_sql(value, test, self._parameters)}) IS TRUE"

    def _window(self, condition: EventCount | Monetary) -> int | None:
        """The instant after which the events of a condition lie, if the pass looks at earlier ones too."""
        after = _after(condition, self._scope.as_of_us)
        return None if after == self._after else after

    def _when(
        self, event_type: str, filters: Filters, after_us: int | None = None, *, typed: bool = True
    ) -> str | None:
        """Whether a row is one of these events; None if all are."""
        holds = [f"event_type = {self._parameters.add(event_type)}"] if typed and len(self._types) > 1 else []
        if filters:
            tests = [test_sql(self._property(event_type, f.property), f.test, self._parameters) for f in filters]
            holds = [self._read.add("passes", f"({' AND '.join(holds + tests)})")]
        if after_us is not None:
            holds.append(f"occurred_at > {self._scope.instant(after_us)}")
        return " AND ".join(holds) or None

    def _property(self, event_type: str, name: str) -> str:
        extracted = property_sql(name, self._parameters)
        return self._properties.add("property", _if(self._when(event_type, ()), extracted))

    def _aggregate(self, what: str, expression: str) -> str:
        return self._aggregates.add(what, expression)


def plain(conditions: Iterable[Gathering]) -> list[Plain]:
    """Those answered by aggregates."""
    return [condition for condition in conditions if isinstance(condition, Plain)]


def _if(condition: str | None, expression: str) -> str:
    return expression if condition is None else f"CASE WHEN {condition} THEN {expression} END"


def _type_of(condition: Plain) -> str:
    return PROPERTIES_EVENT if isinstance(condition, UserProperty) else condition.event_type


def _after(condition: Plain, as_of_us: int) -> int | None:
    """The instant up to which events cannot change what the condition says; None if all may."""
    match condition:
        case EventCount(window_us=int(window)) | Monetary(window_us=int(window)):
            return as_of_us - window
        case Recency(operator="lt"):
            return as_of_us - condition.window_us
        case Recency(operator="lte"):
            return as_of_us - condition.window_us - 1
        case Recency(operator="eq"):
            return as_of_us - (condition.window_us // condition.unit_us + 1) * condition.unit_us
    return None
