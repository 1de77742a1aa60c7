"""Verdicts of whole definitions: groups over conditions, exact to the microsecond in when they turn around."""

from itertools import groupby
from operator import itemgetter

from shared.domain.condition import Condition, Group, Item
from shared.domain.condition_verdict import Verdict, condition_turns, condition_verdict
from shared.domain.user_state import NEVER, Slots

Keys = dict[Condition, str]
"""The slot key of each condition of a definition."""

_PATIENCE = 2
"""Instants tried before all turns of all conditions are laid side by side."""


def compile_verdict(item: Item, keys: Keys) -> Verdict:
    """The verdict of a definition or a part of it, `negate` included.

    Args:
        item: the part.
        keys: the slot key of each of its conditions.
    """
    if not isinstance(item, Group):
        return condition_verdict(item, keys[item])
    children = tuple(compile_verdict(child, keys) for child in item.conditions)
    if len(children) == 1:
        return _negated(children[0]) if item.negate else children[0]
    # AND is decided by one false child, OR by one true child
    return _group(item, children, decisive=item.logic == "OR", keys=keys)


def _negated(child: Verdict) -> Verdict:
    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        member, recheck_at = child(slots, as_of)
        return not member, recheck_at

    return verdict


def _group(group: Group, children: tuple[Verdict, ...], *, decisive: bool, keys: Keys) -> Verdict:
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
        return decided, _first_turn(group, keys, slots, as_of)

    return verdict


def _first_turn(group: Group, keys: Keys, slots: Slots, as_of: int) -> int:
    return next(iter(_turns(group, keys, slots, as_of)[1]), NEVER)


def _turns(item: Item, keys: Keys, slots: Slots, as_of: int) -> tuple[bool, list[int]]:
    """The answer at `as_of` and all instants after it at which the answer turns around."""
    if not isinstance(item, Group):
        return condition_turns(item, keys[item])(slots, as_of)
    decisive = item.logic == "OR"
    lines = [_turns(child, keys, slots, as_of) for child in item.conditions]
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
