"""Verdicts of whole definitions: groups over conditions, exact to the microsecond in when they turn around."""

from collections.abc import Callable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from shared.domain.condition import Gathering, Group, Item, SegmentMembership
from shared.domain.condition_verdict import Turns, Verdict, condition_turns, condition_verdict
from shared.domain.thresholds import in_thresholds, is_unsteady
from shared.domain.user_state import NEVER, Slots


class Answers(NamedTuple):
    """What a definition says: asked for at one instant, or for all instants to come.

    steady: (slots, as_of) -> (member, until): the answer, and how long it holds however conditions that do not decide
    it now may turn; `until` is not after the turn that `verdict` tells. Until then an event that passes no threshold of
    a condition leaves the answer as it is. An `until` that is not after `as_of`: any event may turn it.
    """

    verdict: Verdict
    steady: Verdict
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
    """The answers of a definition or a part of it, `negate` included."""
    if isinstance(item, SegmentMembership):
        return _membership(item, sources)
    if not isinstance(item, Group):
        key = sources.keys[item]
        verdict, put_so = condition_verdict(item, key), in_thresholds(item)
        return Answers(verdict, verdict if put_so is item else _steady(put_so, key), condition_turns(item, key))
    children = tuple(answers_of(child, sources) for child in item.conditions)
    if len(children) == 1:
        return _negated(children[0]) if item.negate else children[0]
    steady = _group_steady(item, [child.steady for child in children])
    return Answers(_group_verdict(item, children), steady, _group_turns(item, children))


def _steady(item: Item, key: str) -> Verdict:
    """How long the answer of conditions over one slot holds."""
    if isinstance(item, Group):
        return _group_steady(item, [_steady(child, key) for child in item.conditions])
    assert not isinstance(item, SegmentMembership)
    verdict = condition_verdict(item, key)
    return (lambda slots, as_of: (verdict(slots, as_of)[0], as_of)) if is_unsteady(item) else verdict


def _negated(answers: Answers) -> Answers:
    def turned(child: Verdict) -> Verdict:
        def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
            member, turns_at = child(slots, as_of)
            return not member, turns_at

        return verdict

    def turns(slots: Slots, as_of: int) -> tuple[bool, list[int]]:
        start, instants = answers.turns(slots, as_of)
        return not start, instants

    verdict = turned(answers.verdict)
    return Answers(verdict, verdict if answers.steady is answers.verdict else turned(answers.steady), turns)


def _membership(condition: SegmentMembership, sources: Sources) -> Answers:
    turned = (condition.operator == "not_in") is not condition.negate
    answers = sources.segments.get(condition.segment_id)
    if answers is not None:
        return _negated(answers) if turned else answers

    def nobody(_slots: Slots, _as_of: int) -> tuple[bool, int]:
        return turned, NEVER

    return Answers(nobody, nobody, lambda _slots, _as_of: (turned, []))


def _decisive(group: Group) -> bool:
    """The answer of one child that decides the group: AND is decided by one false child, OR by one true child."""
    return group.logic == "OR"


def _scan(group: Group, children: list[Verdict]) -> Callable[[Slots, int], tuple[int, int]]:
    """(slots, as_of) -> the first turn of the children that do not decide the group, and the last of those that do; the
    latter is 0 when none decides, and NEVER when one does for ever.
    """
    decisive = _decisive(group)

    def scan(slots: Slots, as_of: int) -> tuple[int, int]:
        first, last = NEVER, 0
        for number, child in enumerate(children):
            answer, turns_at = child(slots, as_of)
            if answer is decisive:
                if turns_at == NEVER:
                    if number:  # asked first from now on: what decides for one user mostly does for the next
                        children[0], children[number] = child, children[0]
                    return first, NEVER
                if turns_at > last:  # noqa: PLR1730 - a call of max costs more than the rest
                    last = turns_at
            elif turns_at < first:
                first = turns_at
        return first, last

    return scan


def _group_answers(group: Group) -> tuple[bool, bool]:
    """What the group says while a child decides it, and while none does; `negate` included."""
    decided = _decisive(group) is not group.negate
    return decided, not decided


def _group_steady(group: Group, children: list[Verdict]) -> Verdict:
    scan, (decided, undecided) = _scan(group, children), _group_answers(group)

    def steady(slots: Slots, as_of: int) -> tuple[bool, int]:
        first, last = scan(slots, as_of)
        return (decided, last) if last else (undecided, first)

    return steady


def _group_verdict(group: Group, children: tuple[Answers, ...]) -> Verdict:
    scan, (decided, undecided) = _scan(group, [child.verdict for child in children]), _group_answers(group)
    all_turns = _group_turns(group, children)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        at = as_of
        for _ in range(_PATIENCE):
            first, last = scan(slots, at)
            if last == NEVER:
                return decided, NEVER
            if not last:
                # no child decides: the first to turn does, or we have come to where the last one stopped deciding
                return (undecided, first) if at == as_of else (decided, at)
            # until `last` one child decides without a break
            at = last
        return decided, next(iter(all_turns(slots, as_of)[1]), NEVER)

    return verdict


def _group_turns(group: Group, children: tuple[Answers, ...]) -> Turns:
    decisive = _decisive(group)

    def turns(slots: Slots, as_of: int) -> tuple[bool, list[int]]:
        lines = [child.turns(slots, as_of) for child in children]
        answers = [answer for answer, _ in lines]
        deciding = sum(answer is decisive for answer in answers)
        start = now = (decisive if deciding else not decisive) is not group.negate
        instants = []
        together = sorted((instant, index) for index, (_, line) in enumerate(lines) for instant in line)
        for instant, same in groupby(together, key=itemgetter(0)):
            for _, index in same:
                answers[index] = not answers[index]
                deciding += 1 if answers[index] is decisive else -1
            answer = (decisive if deciding else not decisive) is not group.negate
            if answer is not now:
                instants.append(instant)
                now = answer
        return start, instants

    return turns
