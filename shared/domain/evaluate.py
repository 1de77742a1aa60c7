"""Verdicts of whole definitions: groups over conditions, exact to the microsecond in when they turn around."""

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from shared.domain.condition import Gathering, Group, Item, SegmentMembership
from shared.domain.condition_verdict import Turns, Verdict, condition_turns, condition_verdict
from shared.domain.user_state import NEVER, Slots


class Answers(NamedTuple):
    """What another segment says: asked for at one instant, or for all instants to come."""

    verdict: Verdict
    turns: Turns


class Sources(NamedTuple):
    """Where the conditions of a definition find what they ask about.

    keys: the slot key of each condition. segments: the answers of the segments it may refer to; one that is missing
    has no members.
    """

    keys: Mapping[Gathering, str]
    segments: Mapping[int, Answers]


_PATIENCE = 2
"""Instants tried before all turns of all conditions are laid side by side."""


def answers_of(item: Item, sources: Sources) -> Answers:
    """The answers of a definition, for those that refer to its segment."""
    return Answers(compile_verdict(item, sources), lambda slots, as_of: _turns(item, sources, slots, as_of))


def compile_verdict(item: Item, sources: Sources) -> Verdict:
    """The verdict of a definition or a part of it, `negate` included."""
    if isinstance(item, SegmentMembership):
        return _membership(item, sources)
    if not isinstance(item, Group):
        return condition_verdict(item, sources.keys[item])
    children = tuple(compile_verdict(child, sources) for child in item.conditions)
    if len(children) == 1:
        return _negated(children[0]) if item.negate else children[0]
    # AND is decided by one false child, OR by one true child
    return _group(item, children, decisive=item.logic == "OR", sources=sources)


def _negated(child: Verdict) -> Verdict:
    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        member, recheck_at = child(slots, as_of)
        return not member, recheck_at

    return verdict


def _group(group: Group, children: tuple[Verdict, ...], *, decisive: bool, sources: Sources) -> Verdict:
    decided, undecided = decisive is not group.negate, (not decisive) is not group.negate
    for_ever = (decided, NEVER)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        at = as_of
        for _ in range(_PATIENCE):
            first, last = NEVER, 0
            for child in children:
                answer, turns = child(slots, at)
                if answer is decisive:
                    if turns == NEVER:
                        return for_ever
                    if turns > last:  # noqa: PLR1730 - a call of max costs more than the rest
                        last = turns
                elif turns < first:
                    first = turns
            if not last:
                # no child decides: the first to turn does, or we have come to where the last one stopped deciding
                return (undecided, first) if at == as_of else (decided, at)
            # until `last` one child decides without a break
            at = last
        return decided, _first_turn(group, sources, slots, as_of)

    return verdict


def _membership(condition: SegmentMembership, sources: Sources) -> Verdict:
    answers = sources.segments.get(condition.segment_id)
    turned = (condition.operator == "not_in") is not condition.negate
    if answers is None:
        return lambda _slots, _as_of: (turned, NEVER)
    return _negated(answers.verdict) if turned else answers.verdict


def _first_turn(group: Group, sources: Sources, slots: Slots, as_of: int) -> int:
    return next(iter(_turns(group, sources, slots, as_of)[1]), NEVER)


def _turns(item: Item, sources: Sources, slots: Slots, as_of: int) -> tuple[bool, list[int]]:
    """The answer at `as_of` and all instants after it at which the answer turns around."""
    if isinstance(item, SegmentMembership):
        source, turned = sources.segments.get(item.segment_id), (item.operator == "not_in") is not item.negate
        start, instants = (False, []) if source is None else source.turns(slots, as_of)
        return start is not turned, instants
    if not isinstance(item, Group):
        return condition_turns(item, sources.keys[item])(slots, as_of)
    decisive = item.logic == "OR"
    lines = [_turns(child, sources, slots, as_of) for child in item.conditions]
    answers = [answer for answer, _ in lines]
    deciding = sum(answer is decisive for answer in answers)
    start = now = (decisive if deciding else not decisive) is not item.negate
    turns = []
    together = sorted((instant, index) for index, (_, line) in enumerate(lines) for instant in line)
    for instant, group in groupby(together, key=itemgetter(0)):
        for _, index in group:
            answers[index] = not answers[index]
            deciding += 1 if answers[index] is decisive else -1
        answer = (decisive if deciding else not decisive) is not item.negate
        if answer is not now:
            turns.append(instant)
            now = answer
    return start, turns
