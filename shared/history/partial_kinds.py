"""The kinds of aggregates in SQL, and their partials from what it gives. An equal meaning is proved by tests."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec

from shared.domain.aggregate import NO_TIME, Kind
from shared.domain.bucket import LIMIT
from shared.domain.condition import PROPERTIES_EVENT, EventSequence
from shared.domain.newest_times import times_verbs
from shared.domain.newest_value import kept
from shared.domain.pairs import pairs_verbs
from shared.domain.property_path import property_reader
from shared.domain.sequence import sequence_verbs
from shared.domain.user_state import Partial
from shared.history.arrow_columns import integers, lists, micro_units, texts, wide
from shared.history.rows_by_user import RowsByUser
from shared.history.sql_values import number_sql, property_sql
from shared.history.want import Want

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
    counts = rows.counts(want, want.aggregate.filters)
    capacity = 1 + want.newest
    if capacity > LIMIT:
        counts += f" AND instant > {rows.parameters.add(as_of_us - want.windows[-1])}"
    # no window otherwise: a condition with a longer one may come to share the slot
    times = rows.aggregate(f"list(instant) FILTER (WHERE {counts})")
    verbs = times_verbs(capacity, want.windows)

    def partial(found: list[int]) -> Partial:
        if len(found) <= capacity and len(found) <= LIMIT:
            return [0, *sorted(found)]
        return verbs.merge(verbs.zero(), [0, *sorted(found)])

    def read(batch: Batch) -> list[Partial | None]:
        borders, elements = lists(batch.column(times))
        every = integers(elements)
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
    pairs = rows.aggregate(f"list({{'instant': instant, 'number': {number}}}) FILTER (WHERE {number} IS NOT NULL)")
    verbs = pairs_verbs(str(want.aggregate.property), want.windows)

    def partial(found: list[tuple[int, int]]) -> Partial:
        every = [0, *(number for pair in sorted(found) for number in pair)]
        return every if len(found) <= LIMIT else verbs.merge(verbs.zero(), every)

    def read(batch: Batch) -> list[Partial | None]:
        borders, elements = lists(batch.column(pairs))
        every = list(zip(integers(elements.field("instant")), micro_units(elements.field("number")), strict=True))
        return [partial(every[start:end]) if start < end else None for start, end in pairwise(borders)]

    return read


def _value(want: Want, rows: RowsByUser, _as_of_us: int) -> Read:
    counts = rows.counts(want)
    place = rows.value(f"CASE WHEN {counts} THEN instant::HUGEINT * 18446744073709551616 + log_offset END")
    newest = rows.aggregate(f"coalesce(max({place}), 0)")
    payload = rows.aggregate(f"arg_max(payload, {place})")
    read_property = property_reader(str(want.aggregate.property))

    def read(batch: Batch) -> list[Partial | None]:
        found = zip(wide(batch.column(newest)), texts(batch.column(payload)), strict=True)
        return [
            None if text is None else [*at_and_offset, kept(read_property(msgspec.json.decode(text)))]
            for at_and_offset, text in found
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
    events = rows.aggregate(f"list({event}) FILTER (WHERE {counts})")
    verbs = sequence_verbs(sequence)

    def read(batch: Batch) -> list[Partial | None]:
        borders, elements = lists(batch.column(events))
        every = list(zip(*(integers(elements.field(name)) for name in ("instant", "place", "mask")), strict=True))
        return [
            verbs.merge(verbs.zero(), [*verbs.zero(), *(number for entry in every[start:end] for number in entry)])
            if start < end
            else None
            for start, end in pairwise(borders)
        ]

    return read


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
