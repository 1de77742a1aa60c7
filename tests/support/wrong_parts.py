"""Parts of the kernel made wrong on purpose, each in one thing that its name or docstring says."""

from collections.abc import Callable
from typing import Any

import re2
from msgspec.structs import replace

from shared.domain import (
    condition_verdict,
    evaluate,
    fold,
    sequence,
    value_test,
    windowed_verdict,
)
from shared.domain.aggregate import Verbs
from shared.domain.condition import EventSequence, Recency
from shared.domain.condition_verdict import Verdict
from shared.domain.event import Event
from shared.domain.newest_value import value_verbs
from shared.domain.numbers import MICRO
from shared.domain.pairs import pairs_verbs
from shared.domain.property_path import MISSING, property_reader
from shared.domain.sequence import sequence_verbs
from shared.domain.user_state import NEVER, Partial, Slots
from shared.domain.value_test import Predicate, Scalar

_at_least, _recency = condition_verdict._at_least, condition_verdict._recency
_group, _membership = evaluate._group, evaluate._membership
_scalar_of, _first_turn = value_test.scalar_of, windowed_verdict.first_turn


# ---- windows and turns


def edge_inside(key: str, needed: int, window: int, *, inside: bool) -> Verdict:
    """`>=` for `>` at the edge of a window."""
    right = _at_least(key, needed, window, inside=inside)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        member, turn = right(slots, as_of - 1)
        return member, turn if turn == NEVER else turn + 1

    return verdict


def turn_of_gt_too_early(condition: Recency, key: str) -> Verdict:
    """An age just over W is met a microsecond after W, not at W."""
    right = _recency(condition, key)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        member, turn = right(slots, as_of)
        return member, turn - 1 if condition.operator == "gt" and turn != NEVER else turn

    return verdict


def gte_of_an_age_is_gt(condition: Recency, key: str) -> Verdict:
    return _recency(replace(condition, operator="gt") if condition.operator == "gte" else condition, key)


def any_child_turns_the_group(group: Any, children: tuple[Verdict, ...], **keys: Any) -> Verdict:
    right = _group(group, children, **keys)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        return right(slots, as_of)[0], min(child(slots, as_of)[1] for child in children)

    return verdict


def negate_before_the_group(group: Any, children: tuple[Verdict, ...], **keys: Any) -> Verdict:
    if not group.negate:
        return _group(group, children, **keys)
    return _group(replace(group, negate=False), tuple(map(evaluate._negated, children)), **keys)


def entries_of_one_instant_leave_one_by_one(line: windowed_verdict.Line, window: int) -> tuple[bool, int]:
    times, answers = line
    # as if each lay in an instant of its own
    member, turn = _first_turn(([time * 1_000 - at for at, time in enumerate(times)], answers), window * 1_000)
    return member, turn if turn == NEVER else -(-turn // 1_000)


# ---- what is gathered


def pairs_of_the_shortest_window(name: str, windows: tuple[int, ...]) -> Verbs:
    return pairs_verbs(name, windows[:1])


def newest_by_the_log(name: str) -> Verbs:
    read = value_verbs(name)

    def add(kept: Partial, event: Event) -> None:
        kept[0] = -1
        read.add(kept, event)

    return read._replace(add=add)


def first_of_a_tie(name: str) -> Verbs:
    read = value_verbs(name)
    return read._replace(add=lambda kept, event: None if event.occurred_at == kept[0] else read.add(kept, event))


def value_lost_where_it_is_missing(name: str) -> Verbs:
    """An older event's value in place of the newest one's, which has none."""
    read, reader = value_verbs(name), property_reader(name)
    return read._replace(
        add=lambda kept, event: None if reader(event.payload) is MISSING else read.add(kept, event),
    )


def path_before_the_literal_key(name: str) -> Callable[[dict[str, Any]], Any]:
    whole = property_reader(name)

    def read(payload: dict[str, Any]) -> Any:
        found = whole({key: value for key, value in payload.items() if key != name})
        return whole(payload) if found is MISSING else found

    return read if "." in name else whole


def cut_off_digits(value: float) -> int | None:
    return int(value * 1e6) if abs(value) < 1e15 else None


def booleans_are_summed(name: str) -> Callable[[dict[str, Any]], int | None]:
    return lambda payload: (
        int(payload[name] * MICRO) if isinstance(payload.get(name), int) and abs(payload[name]) < 10**15 else None
    )


def dropped_repeats_do_not_count_as_previous(state: Any, event: Event) -> bool:
    before = state.event_ids.get(event.event_id)
    repeat = fold.is_repeat(state, event)
    if repeat:
        state.event_ids[event.event_id] = before
    return repeat


# ---- sequences


class ShorterByAMicrosecond(sequence._Verbs):
    """`<` for `<=` at the window of a sequence."""

    def __init__(self, condition: EventSequence) -> None:
        super().__init__(condition)
        self._window -= 1


class FirstBeginning(sequence._Verbs):
    """A chain goes on from the first event that begins one, not from the latest."""

    def _take(self, partial: Partial, time: int, mask: int) -> None:
        before = partial[2 : self._head]
        super()._take(partial, time, mask)
        if not self._strict:
            partial[2 : self._head] = [
                old if old != sequence.NONE else new for old, new in zip(before, partial[2 : self._head], strict=True)
            ]


class OneEventForTwoSteps(sequence._Verbs):
    """An event that fits two steps takes both."""

    def _take(self, partial: Partial, time: int, mask: int) -> None:
        super()._take(partial, time, mask)
        if not self._strict:
            super()._take(partial, time, mask)


class MergeOfOne(sequence._Verbs):
    """A merge that loses the events of one."""

    def merge(self, one: Partial, other: Partial) -> Partial:
        return list(one)


def strict_is_not_interrupted(condition: EventSequence) -> Verbs:
    return sequence_verbs(replace(condition, strict=False))


# ---- tests on values


def not_equal(*operands: Scalar) -> Predicate:
    return lambda value: _scalar_of(value) not in operands


def equal_to_none_of_any_type(*operands: Scalar) -> Predicate:
    return lambda value: (scalar := _scalar_of(value)) is not None and scalar not in operands


def between_the_ends(low: Scalar, high: Scalar) -> Predicate:
    above, below = value_test._compares(low, operator="gt"), value_test._compares(high, operator="lt")
    return lambda value: above(value) and below(value)


def not_inside(low: Scalar, high: Scalar) -> Predicate:
    inside = value_test._between(low, high, inside=True)
    return lambda value: not inside(value)


def matches_the_whole(pattern: Scalar) -> Predicate:
    return lambda value: isinstance(value, str) and re2.fullmatch(pattern.value, value) is not None


def set_unless_missing() -> Predicate:
    return lambda value: value is not MISSING


def lacks(operand: Scalar) -> Predicate:
    contains = value_test._contains(operand, present=True)
    return lambda value: not contains(value)


def booleans_equal_numbers(value: Any) -> Scalar | None:
    return Scalar("number", int(value) * MICRO) if isinstance(value, bool) else _scalar_of(value)


def large_numbers_are_numbers(value: Any) -> Scalar | None:
    large = type(value) in (int, float) and abs(value) >= 1e15
    return Scalar("number", int(value) * MICRO) if large else _scalar_of(value)


# ---- references


def none_are_not_in_a_missing_segment(condition: Any, sources: evaluate.Sources) -> Verdict:
    if condition.segment_id in sources.segments:
        return _membership(condition, sources)
    return lambda _slots, _as_of: (False, NEVER)


def answers_of_a_reference_are_kept(verdict: Verdict, memo: Any) -> Verdict:
    return verdict
