"""The kinds of aggregates in SQL, and their partials from what it gives. An equal meaning is proved by tests."""

from collections.abc import Callable
from itertools import chain, pairwise
from typing import Any

import msgspec

from shared.domain.aggregate import NO_TIME, Kind
from shared.domain.bucket import LIMIT
from shared.domain.condition import PROPERTIES_EVENT, EventSequence
from shared.domain.newest_times import times_verbs
from shared.domain.newest_value import kept
from shared.domain.pairs import pairs_verbs
from shared.domain.sequence import sequence_partials
from shared.domain.user_state import Partial
from shared.history.arrow_columns import Column, integers, lists, micro_units, texts, wide
from shared.history.rows_by_user import RowsByUser
from shared.history.sql_values import number_sql, property_sql
from shared.history.want import Want

SHORT = 8
"""Newest times that DuckDB finds by itself; it takes the memory of all of them for every user."""
INTEGER, PAYLOAD = 8, 256
"""Bytes; of a payload about."""

Batch = Any
"""An Arrow record batch of users."""

Read = Callable[[Batch], list[Partial | None]]
"""The partials of a batch of users; None for a user without an event that counts."""


def gathered(want: Want, rows: RowsByUser, as_of_us: int) -> Read:
    """Let a statement aggregate what a want needs. `as_of_us`: an instant not later than any evaluation to come."""
    return _KINDS[want.aggregate.kind](want, rows, as_of_us)


def _count(want: Want, rows: RowsByUser, _as_of_us: int) -> Read:
    counts = rows.counts(want, want.aggregate.filters)
    number = rows.aggregate(f"count(CASE WHEN {counts} THEN 1 END)")
    return lambda batch: [[count] if count else None for count in integers(batch.column(number))]


def _newest(want: Want, rows: RowsByUser, _as_of_us: int) -> Read:
    counts = rows.counts(want, want.aggregate.filters)
    newest = rows.aggregate(f"coalesce(max(CASE WHEN {counts} THEN instant END), {NO_TIME})")
    return lambda batch: [None if time == NO_TIME else [time] for time in integers(batch.column(newest))]


def _times(want: Want, rows: RowsByUser, as_of_us: int) -> Read:
    counts, capacity = rows.counts(want, want.aggregate.filters), 1 + want.newest
    if capacity <= SHORT:
        times = rows.aggregate(f"max(CASE WHEN {counts} THEN instant END, {capacity})", 2 * INTEGER * capacity)
        return _each_list(times, integers, lambda found: [0, *found[::-1]])
    if capacity > LIMIT:
        counts += f" AND instant > {rows.parameters.add(as_of_us - want.windows[-1])}"
    # no window otherwise: a condition with a longer one may come to share the slot
    times = rows.listed(f"list(instant) FILTER (WHERE {counts})", want, INTEGER)
    verbs = times_verbs(capacity, want.windows)

    def partial(found: list[int]) -> Partial:
        every = [0, *sorted(found)]
        return every if len(found) <= LIMIT else verbs.merge(verbs.zero(), every)

    return _each_list(times, integers, partial)


def _each_list(
    name: str, read_elements: Callable[[Column], list[Any]], partial: Callable[[list[Any]], Partial]
) -> Read:
    """The partials of lists; None of an empty one."""

    def read(batch: Batch) -> list[Partial | None]:
        borders, elements = lists(batch.column(name))
        every = read_elements(elements)
        return [partial(every[start:end]) if start < end else None for start, end in pairwise(borders)]

    return read


def _number(want: Want, rows: RowsByUser, counts: str) -> str:
    """The name of the number of a property of each row that counts, NULL where it has none."""
    text = property_sql(str(want.aggregate.property), rows.parameters)
    return rows.value(f"CASE WHEN {counts} THEN {number_sql(text)} END")


def _totals(want: Want, rows: RowsByUser, _as_of_us: int) -> Read:
    number = _number(want, rows, rows.counts(want, want.aggregate.filters))
    count = rows.aggregate(f"count({number})")
    totals = [rows.aggregate(f"coalesce({verb}({number}), 0)") for verb in ("sum", "max", "min")]

    def read(batch: Batch) -> list[Partial | None]:
        columns = [integers(batch.column(count)), *(micro_units(batch.column(name)) for name in totals)]
        return [list(found) if found[0] else None for found in zip(*columns, strict=True)]

    return read


def _pairs(want: Want, rows: RowsByUser, as_of_us: int) -> Read:
    counts = rows.counts(want, want.aggregate.filters)
    number = _number(want, rows, f"{counts} AND instant > {rows.parameters.add(as_of_us - want.windows[-1])}")
    pair = f"{{'instant': instant, 'number': {number}}}"
    pairs = rows.listed(f"list({pair}) FILTER (WHERE {number} IS NOT NULL)", want, 3 * INTEGER)
    verbs = pairs_verbs(str(want.aggregate.property), want.windows)

    def partial(found: list[tuple[int, int]]) -> Partial:
        every = [0, *chain.from_iterable(sorted(found))]
        return every if len(found) <= LIMIT else verbs.merge(verbs.zero(), every)

    def read_pairs(elements: Column) -> list[tuple[int, int]]:
        return list(zip(integers(elements.field("instant")), micro_units(elements.field("number")), strict=True))

    return _each_list(pairs, read_pairs, partial)


def _value(want: Want, rows: RowsByUser, _as_of_us: int) -> Read:
    counts = rows.counts(want)
    place = rows.value(f"CASE WHEN {counts} THEN instant::HUGEINT * 18446744073709551616 + log_offset END")
    newest = rows.aggregate(f"coalesce(max({place}), -1)")
    payload = rows.aggregate(f"arg_max(payload, {place})", PAYLOAD)
    value = rows.result(property_sql(str(want.aggregate.property), rows.parameters, payload))

    def read(batch: Batch) -> list[Partial | None]:
        places, found = wide(batch.column(newest)), texts(batch.column(value))
        # most users have one of few values
        values = {text: None if text is None else kept(msgspec.json.decode(text)) for text in set(found)}
        return [
            None if time < 0 else [time, offset, values[text]]
            for (time, offset), text in zip(places, found, strict=True)
        ]

    return read


def _sequence(want: Want, rows: RowsByUser, _as_of_us: int) -> Read:
    sequence = want.aggregate.sequence
    assert sequence is not None
    mask = rows.value(_mask(want, sequence, rows))
    counts = rows.counts(want) if sequence.strict else f"{mask} > 0"
    if sequence.strict:
        counts += f" AND (NOT {rows.condition(want, rows.of_type(PROPERTIES_EVENT), ())} OR {mask} > 0)"
    event = f"{{'instant': instant, 'place': log_offset, 'mask': {mask}}}"
    events = rows.listed(f"list({event}) FILTER (WHERE {counts})", want, 3 * INTEGER)

    def read_events(elements: Column) -> list[tuple[int, int, int]]:
        return list(zip(*(integers(elements.field(name)) for name in ("instant", "place", "mask")), strict=True))

    return _each_list(events, read_events, sequence_partials(sequence))


def _mask(want: Want, sequence: EventSequence, rows: RowsByUser) -> str:
    """The mask that the kernel gives an event: bit n for step n, one more for an event that never interrupts."""
    steps = [
        f"CASE WHEN {rows.condition(want, rows.of_type(step.event_type), step.filters)} THEN {1 << n} ELSE 0 END"
        for n, step in enumerate(sequence.steps)
    ]
    sql = " + ".join(steps)
    if all(step.event_type != PROPERTIES_EVENT for step in sequence.steps):
        return sql
    setting = rows.condition(want, rows.of_type(PROPERTIES_EVENT), ())
    return f"{sql} + CASE WHEN {setting} AND {sql} > 0 THEN {1 << len(sequence.steps)} ELSE 0 END"


_KINDS: dict[Kind, Callable[[Want, RowsByUser, int], Read]] = {
    "count": _count,
    "times": _times,
    "newest": _newest,
    "totals": _totals,
    "pairs": _pairs,
    "value": _value,
    "sequence": _sequence,
}
