"""The serving versions of a tenant's segments, compiled: those that refer to others know their answers.

What a segment refers to is asked at the same instant, by the same verdicts, so nothing can be seen in between, and no
order of evaluation matters.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, TypeVar

import msgspec

from shared.domain.aggregate import Aggregate, aggregate_of
from shared.domain.condition import Definition, EventTypes, Gathering, event_types, gathering, references
from shared.domain.condition_verdict import Verdict
from shared.domain.evaluate import Answers, Sources, answers_of
from shared.domain.user_state import Slots

Memo = dict[tuple[int, int], Any]
"""(number of a question, instant) -> its answer for the user that is looked at."""

Answer = TypeVar("Answer")


class Activation(msgspec.Struct, frozen=True):
    """One version of a segment that is followed.

    since: its cutover offset; live events below it are not folded into its slots. serving: its answer counts; otherwise
    it gathers state silently. inherited: by content hash, the keys of slots that are shared with others. wish: the
    number of the wish that brought it; it keeps slots apart that begin at the same offset.
    """

    segment_id: int
    version: int
    definition: Definition
    since: int
    serving: bool
    inherited: dict[str, str] = {}
    wish: int = 0

    def slot_of(self, condition: Gathering) -> str:
        """The key of the slot that a condition looks at."""
        return self.slot_for(aggregate_of(condition))

    def slot_for(self, aggregate: Aggregate) -> str:
        """The key of the slot that an aggregate lies in."""
        content = aggregate.content_hash()
        return self.inherited.get(content) or slot_key(content, self.since, self.wish)


class CompiledSegment(NamedTuple):
    """A serving version; `verdict(slots, as_of)` -> (member, recheck_at) of a known user.

    steady: as `Answers.steady`; the same object as `verdict` where both always say the same. conditions: all that its
    answer rests on with the keys of their slots, those of the segments it refers to included. event_types: of the
    events that may change its answer. refers_to: the ids of the segments it refers to, and of those they refer to.
    """

    segment_id: int
    version: int
    verdict: Verdict
    steady: Verdict
    conditions: tuple[tuple[Gathering, str], ...]
    event_types: EventTypes
    refers_to: frozenset[int] = frozenset()


def slot_key(content: str, since: int, wish: int = 0) -> str:
    """The key of a slot in a user's state; `content`: the hash of its aggregate.

    Where events lie before `since`, `wish` tells it from the slot of another wish that came at the same offset: theirs
    may have been merged with a history that kept less.
    """
    return f"{content}@{since}.{wish}" if since and wish else f"{content}@{since}"


def slot_since(key: str) -> int:
    """The first offset that a slot counts live."""
    return int(key.partition("@")[2].partition(".")[0])


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
        others = [compiled[other] for other in wanted if other in compiled]
        keys = {c: activation.slot_of(c) for c in gathering(activation.definition)}
        known = {other.segment_id: _remembered(answers[other.segment_id], memo) for other in others}
        own = answers[segment_id] = answers_of(activation.definition, Sources(keys, known))
        compiled[segment_id] = CompiledSegment(
            segment_id,
            activation.version,
            verdict := _forgetting(own.verdict, memo) if others else own.verdict,
            verdict if own.steady is own.verdict else _forgetting(own.steady, memo) if others else own.steady,
            tuple(dict.fromkeys([*keys.items(), *(pair for other in others for pair in other.conditions)])),
            reduce(or_, (*map(event_types, keys), *(other.event_types for other in others)), EventTypes()),
            frozenset(wanted).union(*(other.refers_to for other in others)),
        )

    order = list(activations)
    for segment_id in order:
        if segment_id in activations:
            visit(segment_id)
    return {segment_id: compiled[segment_id] for segment_id in order}


def _remembered(answers: Answers, memo: Memo) -> Answers:
    """The answers, given once for each instant however many refer to the segment."""
    verdict = _once(answers.verdict, memo)
    steady = verdict if answers.steady is answers.verdict else _once(answers.steady, memo)
    return Answers(verdict, steady, _once(answers.turns, memo))


def _once(ask: Callable[[Slots, int], Answer], memo: Memo) -> Callable[[Slots, int], Answer]:
    number = id(ask)

    def remembered(slots: Slots, as_of: int) -> Answer:
        found: Answer | None = memo.get((number, as_of))
        if found is None:
            found = memo[number, as_of] = ask(slots, as_of)
        return found

    return remembered


def _forgetting(verdict: Verdict, memo: Memo) -> Verdict:
    """The verdict for callers from outside: what is remembered holds for one call."""

    def forgetting(slots: Slots, as_of: int) -> tuple[bool, int]:
        memo.clear()
        return verdict(slots, as_of)

    return forgetting
