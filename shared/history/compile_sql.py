"""A definition as one statement of DuckDB over the relation `events`: the second interpreter of the language.

Its conditions and those of all segments it refers to are gathered in one pass; each sequence has one of its own. Users
come from these, unless somebody without a matching event may be a member: then from all who are known.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any

from msgspec.structs import replace

from shared.domain.compiled_segment import Activation
from shared.domain.condition import (
    Condition,
    Definition,
    EventSequence,
    Group,
    Item,
    SegmentMembership,
    gathering,
    references,
)
from shared.domain.plan import compile_plan
from shared.history.sql_gathered import Gathered, plain
from shared.history.sql_scope import Scope
from shared.history.sql_sequence import sequence_tables
from shared.history.statement import Statement

_ASKED = 0
"""Stands for the definition that is asked about; ids of segments begin at 1."""

_PARAMETER = re.compile(r"\$p\d+")


def members_sql(definition: Definition, tenant: int, as_of_us: int, referenced: Mapping[int, Definition]) -> Statement:
    """The statement that yields the `user_id` of each member at an instant, in no order.

    Args:
        definition: who are asked for.
        tenant: whose events are looked at, and nobody else's.
        as_of_us: the instant, in microseconds since 1970.
        referenced: the active definitions of the tenant's segments by id; who is not there has no members.
    """
    query = _Query(Scope(tenant, as_of_us), definition, referenced)
    return query.statement("SELECT user_id\nFROM answers\nWHERE is_member")


def preview_statement(
    definition: Definition, tenant: int, as_of_us: int, referenced: Mapping[int, Definition], limit: int
) -> Statement:
    """The statement that counts the members: one row of three columns. Arguments as for `members_sql`.

    matched_users (BIGINT), sample_user_ids (VARCHAR[]: the first `limit` ids, sorted), scanned_events (BIGINT: rows
    that were looked at; what several passes look at counts in each).
    """
    query = _Query(Scope(tenant, as_of_us), definition, referenced)
    sample = f"min(CASE WHEN is_member THEN user_id END, {query.scope.parameters.add(limit)})"
    return query.statement(
        "SELECT\n"
        "  count(CASE WHEN is_member THEN 1 END) AS matched_users,\n"
        f"  coalesce({sample}, []) AS sample_user_ids,\n"
        f"  CAST({query.scanned()} AS BIGINT) AS scanned_events\n"
        "FROM answers"
    )


def estimate_statement(
    definition: Definition, tenant: int, as_of_us: int, referenced: Mapping[int, Definition], one_in: int
) -> Statement:
    """The statement that counts the members among one in so many users: one row of two columns.

    matched (BIGINT), sampled_users (BIGINT: the known users of the sample). Arguments as for `members_sql`.
    """
    query = _Query(Scope(tenant, as_of_us, one_in), definition, referenced, with_known=True)
    return query.statement(
        "SELECT\n"
        "  count(CASE WHEN is_member THEN 1 END) AS matched,\n"
        "  (SELECT count(*) FROM known) AS sampled_users\n"
        "FROM answers"
    )


def readable(statement: Statement) -> str:
    """The text of a statement with its values in it, as literals that hold whatever they may hold."""
    return _PARAMETER.sub(lambda name: _literal(statement.parameters[name[0][1:]]), statement.sql)


class _Query:
    """The common table expressions up to `answers`: of each user, whether it is a member."""

    def __init__(
        self,
        scope: Scope,
        definition: Definition,
        referenced: Mapping[int, Definition],
        *,
        with_known: bool = False,
    ) -> None:
        self.scope = scope
        self._definitions = _reachable(definition, referenced)
        conditions = [each for item in self._definitions.values() for each in gathering(item)]
        sequences = [replace(each, negate=False) for each in conditions if isinstance(each, EventSequence)]
        self._sequences = {each: f"sequence_{number}" for number, each in enumerate(dict.fromkeys(sequences), 1)}
        others = plain(conditions)
        self._from_known = not conditions or self._is_true_of_nothing()
        self._outer = self._from_known or len(self._sequences) + bool(others) > 1
        self._gathered = Gathered(scope, others, outer=self._outer) if others else None
        self._tables = dict(self._all_tables(with_known=with_known))

    def statement(self, last: str) -> Statement:
        """The common table expressions with the SELECT that reads `answers`."""
        tables = ",\n".join(f"{name} AS (\n  {sql}\n)" for name, sql in self._tables.items())
        return Statement(f"WITH {tables}\n{last}", self.scope.parameters.values)

    def scanned(self) -> str:
        """How many rows were looked at, over all of `answers`."""
        parts = [f"(SELECT count(*) FROM {name}_rows)" for name in self._sequences.values()]
        return " + ".join([*(["coalesce(sum(events), 0)"] if self._gathered else []), *parts]) or "0"

    def _all_tables(self, *, with_known: bool) -> Iterator[tuple[str, str]]:
        levels = [
            [(self._name(number), self._item(self._definitions[number])) for number in level]
            for level in _levels(self._definitions)
        ]
        sources = ["known"] if self._from_known else []
        if self._from_known or with_known:
            yield "known", self.scope.known()
        if self._gathered:
            yield from self._gathered.tables()
            sources.append("gathered")
        for condition, name in self._sequences.items():
            yield from sequence_tables(self.scope, condition, name)
            sources.append(name)
        join = f"\n  {'LEFT' if self._from_known else 'FULL'} JOIN "
        source = sources[0] + "".join(f"{join}{other} USING (user_id)" for other in sources[1:])
        for number, level in enumerate(levels, 1):
            name = "answers" if number == len(levels) else f"referred_to_{number}"
            columns = ",\n    ".join(f"{answer} AS {column}" for column, answer in level)
            yield name, f"SELECT\n    *,\n    {columns}\n  FROM {source}"
            source = name

    def _item(self, item: Item) -> str:
        said = self._group(item) if isinstance(item, Group) else self._condition(item)
        return f"(NOT {said})" if item.negate else said

    def _group(self, group: Group) -> str:
        parts = [self._item(part) for part in group.conditions]
        return parts[0] if len(parts) == 1 else f"({f' {group.logic} '.join(parts)})"

    def _condition(self, condition: Condition) -> str:
        if isinstance(condition, SegmentMembership):
            known = condition.segment_id in self._definitions
            member = self._name(condition.segment_id) if known else "false"
            return member if condition.operator == "in" else f"(NOT {member})"
        if isinstance(condition, EventSequence):
            happened = f"{self._sequences[replace(condition, negate=False)]}_happened"
            return f"coalesce({happened}, false)" if self._outer else happened
        assert self._gathered is not None
        return f"({self._gathered.answer(condition)})"

    def _is_true_of_nothing(self) -> bool:
        """Whether a known user without any event that is looked at is a member: as the kernel says."""
        plan = compile_plan(Activation(number, 1, item, 0, serving=True) for number, item in self._definitions.items())
        return plan.segments[_ASKED].verdict({}, self.scope.as_of_us)[0]

    def _name(self, segment_id: int) -> str:
        return "is_member" if segment_id == _ASKED else f"segment_{segment_id}"


def _reachable(definition: Definition, referenced: Mapping[int, Definition]) -> dict[int, Definition]:
    """The definition and those it refers to, one after the other."""
    found, left = {_ASKED: definition}, [definition]
    for item in left:
        for segment_id in references(item):
            if segment_id in referenced and segment_id not in found:
                found[segment_id] = referenced[segment_id]
                left.append(referenced[segment_id])
    return found


def _levels(definitions: Mapping[int, Definition]) -> Iterator[list[int]]:
    """The ids, each after those it refers to; the asked definition is the last. Raises CycleError."""
    sorter = TopologicalSorter({number: references(item) & definitions.keys() for number, item in definitions.items()})
    sorter.prepare()
    while sorter.is_active():
        level = sorted(sorter.get_ready())
        yield level
        sorter.done(*level)


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat(sep=' ')}'"
    return f"'{value.replace(chr(39), chr(39) * 2)}'" if isinstance(value, str) else str(value)
