"""Sequences in SQL: each step is joined to the latest chain of the steps before it, which is all that matters.

A chain that began later is never worse, and the latest row of a step carries the latest beginning: one ASOF join for
each step, whose cost grows with the rows and not with their pairs.
"""

from collections.abc import Iterator

from shared.domain.condition import PROPERTIES_EVENT, EventSequence, Step
from shared.history.sql_scope import Scope
from shared.history.sql_values import property_sql, test_sql

_PLACE = "(occurred_at, log_offset)"


def sequence_tables(scope: Scope, condition: EventSequence, name: str, column: str) -> Iterator[tuple[str, str]]:
    """The common table expressions by name; the last, `name`, holds the users of whom `column` is true."""
    strict = condition.strict
    if strict:
        yield f"{name}_rows", _in_order(scope, condition)
    reached = ""
    for number, step in enumerate(condition.steps, 1):
        rows = f"FROM {name}_rows\n  WHERE step_{number}" if strict else _rows(scope, step)
        before, reached = reached, f"{name}_step_{number}"
        yield reached, _goes_on(before, rows, strict=strict) if before else _begins(rows, strict=strict)
    window = scope.parameters.add(condition.window_us)
    near = f"epoch_us(occurred_at) - epoch_us(begun_at) <= {window}"
    yield name, f"SELECT DISTINCT user_id, true AS {column}\n  FROM {reached}\n  WHERE {near}"


def sequence_rows(scope: Scope, condition: EventSequence) -> str:
    """FROM and WHERE of the events that a sequence looks at."""
    types = {step.event_type for step in condition.steps}
    if not condition.strict:
        return scope.events(types, None)
    # what sets properties never interrupts, so that it is looked at only as a step
    others = [] if PROPERTIES_EVENT in types else [f"event_type <> {scope.parameters.add(PROPERTIES_EVENT)}"]
    return scope.events(None, None, *others)


def _begins(rows: str, *, strict: bool) -> str:
    turn = ", turn" if strict else ""
    return f"SELECT user_id, {_PLACE} AS place, occurred_at, occurred_at AS begun_at{turn}\n  {rows}"


def _goes_on(before: str, rows: str, *, strict: bool) -> str:
    turn, turns = (", turn", ", turn, turn - interrupts AS previous_turn") if strict else ("", "")
    same = "\n    AND this.previous_turn = before.turn" if strict else ""
    this = f"SELECT user_id, {_PLACE} AS place, occurred_at{turns}\n  {rows}"
    return (
        f"SELECT this.user_id, this.place, this.occurred_at, before.begun_at{', this.turn' if turn else ''}\n"
        f"  FROM ({this}) AS this\n"
        f"  ASOF JOIN {before} AS before ON this.user_id = before.user_id{same}\n"
        "    AND this.place > before.place"
    )


def _rows(scope: Scope, step: Step) -> str:
    return scope.events([step.event_type], None, *_tests(scope, step))


def _tests(scope: Scope, step: Step) -> list[str]:
    parameters = scope.parameters
    return [test_sql(property_sql(f.property, parameters), f.test, parameters) for f in step.filters]


def _in_order(scope: Scope, condition: EventSequence) -> str:
    """The rows of steps with their turn: how many events that interrupt there are up to it, itself counted."""
    parameters = scope.parameters
    steps = [
        f"({' AND '.join([f'event_type = {parameters.add(step.event_type)}', *_tests(scope, step)])}) AS step_{number}"
        for number, step in enumerate(condition.steps, 1)
    ]
    interrupts = f"CASE WHEN event_type = {parameters.add(PROPERTIES_EVENT)} THEN 0 ELSE 1 END AS interrupts"
    flagged = ",\n    ".join(["user_id", "occurred_at", "log_offset", interrupts, *steps])
    order = "PARTITION BY user_id ORDER BY occurred_at, log_offset ROWS UNBOUNDED PRECEDING"
    ordered = (
        f"SELECT *, sum(interrupts) OVER ({order}) AS turn\n"
        f"  FROM (SELECT\n    {flagged}\n  {sequence_rows(scope, condition)})"
    )
    any_step = " OR ".join(f"step_{number}" for number in range(1, len(steps) + 1))
    return f"SELECT *\n  FROM ({ordered})\n  WHERE {any_step}"
