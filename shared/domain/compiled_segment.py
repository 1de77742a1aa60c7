"""The serving versions of a tenant's segments, compiled: those that refer to others know their answers.

What a segment refers to is asked at the same instant, by the same verdicts, so nothing can be seen in between, and no
order of evaluation matters.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import NamedTuple

import msgspec

from shared.domain.aggregate import Aggregate, aggregate_of
from shared.domain.condition import Definition, EventTypes, event_types, gathering, references
from shared.domain.condition_verdict import Verdict
from shared.domain.evaluate import Answers, Sources, answers_of
from shared.domain.user_state import Slots

Memo = dict[tuple[int, int], tuple[bool, int]]
"""(segment id, instant) -> its verdict on the user that is looked at."""


class Activation(msgspec.Struct, frozen=True):
    """One version of a segment that is followed.

    since: its cutover offset; events below it are not folded into its slots.
    serving: its answer counts; otherwise it gathers state silently.
    """

    segment_id: int
    version: int
    definition: Definition
    since: int
    serving: bool


class CompiledSegment(NamedTuple):
    """A serving version; `verdict(slots, as_of)` -> (member, recheck_at) of a known user.

    event_types: of the events that may change its answer, or that of a segment it refers to. refers_to: the ids of
    these segments, and of those they refer to.
    """

    segment_id: int
    version: int
    verdict: Verdict
    event_types: EventTypes
    refers_to: frozenset[int] = frozenset()


def slot_key(aggregate: Aggregate, since: int) -> str:
    """The key of a slot in a user's state."""
    return f"{aggregate.content_hash()}@{since}"


def compile_segments(serving: Iterable[Activation]) -> dict[int, CompiledSegment]:
    """The segments by id. A reference to one that does not serve, or back to itself, finds no members."""
    activations = {activation.segment_id: activation for activation in serving}
    memo: Memo = {}
    answers: dict[int, Answers] = {}
    compiled: dict[int, CompiledSegment] = {}

    def visit(segment_id: int) -> None:
        activation = activations.pop(segment_id)  # so that a circle, which nobody can save, ends
        wanted = sorted(references(activation.definition))
        for other in wanted:
            if other in activations:
                visit(other)
        conditions = gathering(activation.definition)
        keys = {condition: slot_key(aggregate_of(condition), activation.since) for condition in conditions}
        others = [compiled[other] for other in wanted if other in compiled]
        types = reduce(or_, (*map(event_types, conditions), *(other.event_types for other in others)), EventTypes())
        remembered = {
            other.segment_id: _remembered(other.segment_id, answers[other.segment_id], memo) for other in others
        }
        own = answers[segment_id] = answers_of(activation.definition, Sources(keys, remembered))
        verdict = _forgetting(own.verdict, memo) if others else own.verdict
        refers_to = frozenset(wanted).union(*(other.refers_to for other in others))
        compiled[segment_id] = CompiledSegment(segment_id, activation.version, verdict, types, refers_to)

    order = list(activations)
    for segment_id in order:
        if segment_id in activations:
            visit(segment_id)
    return {segment_id: compiled[segment_id] for segment_id in order}


def _remembered(segment_id: int, answers: Answers, memo: Memo) -> Answers:
    """The answers, given once for each instant however many refer to the segment."""
    verdict = answers.verdict

    def remembered(slots: Slots, as_of: int) -> tuple[bool, int]:
        found = memo.get((segment_id, as_of))
        if found is None:
            found = memo[segment_id, as_of] = verdict(slots, as_of)
        return found

    return Answers(remembered, answers.turns)


def _forgetting(verdict: Callable[[Slots, int], tuple[bool, int]], memo: Memo) -> Verdict:
    """The verdict for callers from outside: what is remembered holds for one call."""

    def forgetting(slots: Slots, as_of: int) -> tuple[bool, int]:
        memo.clear()
        return verdict(slots, as_of)

    return forgetting
