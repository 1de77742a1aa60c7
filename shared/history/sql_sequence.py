"""Sequences in SQL: each step is joined to the latest chain of the steps before it, which is all that matters.

A chain that began later is never worse, and the latest row of a step carries the latest beginning: one ASOF join for
each step, whose cost grows with the rows and not with their pairs. A strict sequence is one that is not strict as well:
only of the users who have that are all events put in order.
"""

from collections.abc import Iterator

from shared.domain.condition import PROPERTIES_EVENT, EventSequence
from shared.history.sql_scope import Scope
from shared.history.sql_values import property_sql, test_sql

Table = tuple[str, str]
"""The name of a common table expression, and its SELECT."""


def sequence_tables(scope: Scope, condition: EventSequence, name: str) -> Iterator[Table]:
    """The common table expressions; the last, `name`, holds the users of whom `<name>_happened` is true."""
    types = {step.event_type for step in condition.steps}
    yield f"{name}_rows", _rows(scope, condition, scope.events(types, None))
    if not condition.strict:
        yield from _chains(scope, condition, f"{name}_rows", name)
        return
    maybe = f"{name}_loosely"
    yield from _chains(scope, condition, f"{name}_rows", maybe)
    yield f"{name}_ordered", _in_turn(scope, condition, maybe)
    yield from _chains(scope, condition, f"{name}_ordered", name, strict=True)


def _chains(scope: Scope, condition: EventSequence, rows: str, name: str, *, strict: bool = False) -> Iterator[Table]:
    begun, turn = f"{name}_step_1", ", turn" if strict else ""
    yield begun, f"SELECT user_id, place, occurred_at, occurred_at AS begun_at{turn}\n  FROM {rows}\n  WHERE step_1"
    for number in range(2, len(condition.steps) + 1):
        before, begun = begun, f"{name}_step_{number}"
        yield begun, _goes_on(before, rows, number, strict=strict)
    near = f"epoch_us(occurred_at) - epoch_us(begun_at) <= {scope.parameters.add(condition.window_us)}"
    yield name, f"SELECT DISTINCT user_id, true AS {name}_happened\n  FROM {begun}\n  WHERE {near}"


def _goes_on(before: str, rows: str, number: int, *, strict: bool) -> str:
    """The rows of a step that follow a chain of the steps before, with its beginning."""
    turn, same = (", this.turn", " AND this.turn - this.interrupts = before.turn") if strict else ("", "")
    return (
        f"SELECT this.user_id, this.place, this.occurred_at, before.begun_at{turn}\n"
        f"  FROM (SELECT * FROM {rows} WHERE step_{number}) AS this\n"
        f"  ASOF JOIN {before} AS before ON this.user_id = before.user_id{same} AND this.place > before.place"
    )


def _rows(scope: Scope, condition: EventSequence, events: str, *more: str) -> str:
    """The events with their place and the steps that they are."""
    parameters = scope.parameters
    columns = ["user_id", "occurred_at", "(occurred_at, log_offset) AS place", *more]
    for number, step in enumerate(condition.steps, 1):
        tests = [test_sql(property_sql(f.property, parameters), f.test, parameters) for f in step.filters]
        holds = " AND ".join([f"event_type = {parameters.add(step.event_type)}", *tests])
        columns.append(f"({holds}) AS step_{number}")
    listed = ",\n    ".join(columns)
    return f"SELECT\n    {listed}\n  {events}"


def _in_turn(scope: Scope, condition: EventSequence, users: str) -> str:
    """The rows of steps with their turn: how many events that interrupt there are up to it, itself counted."""
    properties = scope.parameters.add(PROPERTIES_EVENT)
    interrupts = f"CASE WHEN event_type = {properties} THEN 0 ELSE 1 END AS interrupts"
    rows = _rows(scope, condition, scope.events(None, None, f"user_id IN (SELECT user_id FROM {users})"), interrupts)
    order = "PARTITION BY user_id ORDER BY place ROWS UNBOUNDED PRECEDING"
    any_step = " OR ".join(f"step_{number}" for number in range(1, len(condition.steps) + 1))
    turns = f"SELECT *, sum(interrupts) OVER ({order}) AS turn\n  FROM ({rows})"
    return f"SELECT *\n  FROM ({turns})\n  WHERE {any_step}"
