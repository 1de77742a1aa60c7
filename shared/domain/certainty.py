"""Whether a formula is true of every known user, or of none, whatever the events. A yes is proved; a no may be wrong.

The formula is taken apart: all parts of an AND, one alternative of each OR after the other. If each way through ends in
conditions that exclude each other, it is never true. It is always true if its opposite is never true.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal

from shared.domain.formula import Atom, Belongs, Both, Formula, Happened, Join, Number, Passes, Within
from shared.domain.spans import INFINITY, NATURAL, Spans, compared_with, intersection, least_from
from shared.domain.value_choice import Wanted, some_value_passes

ANY: Spans = compared_with("gte", 1)


class Effort:
    """How many conditions may be looked at before nothing more is proved: ways multiply with each OR."""

    def __init__(self, conditions: int = 2_000) -> None:
        self._left = conditions

    def spend(self, conditions: int) -> bool:
        """Whether so many more may be looked at."""
        self._left -= conditions
        return self._left >= 0


def certainty(both: Both, effort: Effort) -> Literal["always", "never"] | None:
    """What is proved of a formula at any instant; None when nothing is."""
    if not _is_open([both.formula], (), effort):
        return "never"
    return None if _is_open([both.opposite], (), effort) else "always"


def _is_open(formulas: list[Formula], atoms: tuple[Atom, ...], effort: Effort) -> bool:
    """Whether all these may be true at once."""
    choices: list[Join] = []
    while formulas:
        formula = formulas.pop()
        if not isinstance(formula, Join):
            atoms = (*atoms, formula)
        elif formula.logic == "AND":
            formulas.extend(formula.parts)
        else:
            choices.append(formula)
    if not effort.spend(1 + len(atoms)):
        return True
    if not _agree(atoms):
        return False
    if not choices:
        return True
    choices.sort(key=lambda choice: len(choice.parts))
    return any(_is_open([part, *choices[1:]], atoms, effort) for part in choices[0].parts)


def _agree(atoms: tuple[Atom, ...]) -> bool:
    """Whether conditions may be true at once; of different things they always may."""
    whole = set(atoms).union(*map(_implied, atoms))
    return (
        not any(_opposite(atom) in whole for atom in whole if isinstance(atom, Happened | Belongs))
        and _values_agree(atom for atom in whole if isinstance(atom, Passes))
        and _numbers_agree(atom for atom in whole if isinstance(atom, Within))
    )


def _opposite(atom: Happened | Belongs) -> Atom:
    if isinstance(atom, Belongs):
        return Belongs(atom.segment_id, not atom.holds)
    return Happened(atom.steps, atom.window_us, atom.strict, not atom.holds)


def _implied(atom: Atom) -> Iterator[Atom]:
    """What must have happened for a condition to be true."""
    match atom:
        case Passes(holds=True):
            # every normal test is false of a missing value
            yield Within(Number("count", atom.event_type, (), INFINITY), ANY)
        case Happened(holds=True):
            for event_type, filters in atom.steps:
                yield Within(Number("count", event_type, filters, INFINITY), ANY)
        case Within(number=number) if number.kind != "count" and not atom.or_none:
            if number.kind != "sum" or not intersection(atom.spans, compared_with("eq", 0)):
                yield Within(Number("count", number.event_type, number.filters, number.window_us), ANY)


def _values_agree(atoms: Iterable[Passes]) -> bool:
    by_property: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
    for atom in atoms:
        by_property[atom.event_type, atom.property].append(Wanted(atom.test, atom.holds))
    return all(map(some_value_passes, by_property.values()))


def _numbers_agree(atoms: Iterable[Within]) -> bool:
    left: dict[Number, Spans] = {}
    needed: set[Number] = set()
    for atom in atoms:
        left[atom.number] = intersection(left.get(atom.number, atom.spans), atom.spans)
        if not atom.or_none:
            needed.add(atom.number)
    if not all(left[number] for number in needed):
        return False
    counts: dict[str, dict[Number, Spans]] = defaultdict(dict)
    for number, spans in left.items():
        if number.kind == "count":
            counts[number.event_type][number] = spans
    return all(map(_counts_agree, counts.values()))


def _counts_agree(counts: dict[Number, Spans]) -> bool:
    """Counts of one event type: no more events lie in a shorter window, and no more pass more filters."""
    least: dict[Number, float] = {}
    for number in sorted(counts, key=lambda number: (number.window_us, -len(number.filters))):
        within = [low for other, low in least.items() if set(other.filters) >= set(number.filters)]
        found = least_from(intersection(counts[number], NATURAL), max(within, default=0))
        if found is None:
            return False
        least[number] = found
    return True
