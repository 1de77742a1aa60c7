"""What is worth knowing of a definition that can be saved: never an error, and nothing that only may be so."""

from typing import NamedTuple

from shared.domain.aggregate import Aggregate, aggregate_of
from shared.domain.certainty import Effort, certainty
from shared.domain.condition import Definition, Group, Item, SegmentMembership, gathering, placed_items, placed_leaves
from shared.domain.formula import Both, both_of
from shared.domain.state_bytes import state_bytes

KIB = 1024
MANY_BYTES = 16 * KIB
"""More than this of one user is worth a warning."""
_OF_WHOM = "of a user with very many such events"


class DefinitionWarning(NamedTuple):
    """Where (a JSON path such as `$.conditions[0]`, `$` is the whole definition), and what."""

    path: str
    message: str


def definition_warnings(definition: Definition) -> list[DefinitionWarning]:
    """What is always or never true, and what may keep more than 16 KiB of a user."""
    return [*_certain(definition), *_large(definition)]


def _certain(definition: Definition) -> list[DefinitionWarning]:
    """The smallest parts that are always or never true, after the whole if it is."""
    effort = Effort()
    both, parts = _smallest(definition, "$", effort)
    whole = certainty(both, effort)
    if whole is None:
        return parts
    members = "every known user is a member" if whole == "always" else "nobody is ever a member"
    return [
        DefinitionWarning("$", f"the definition is {whole} true: {members}"),
        *(part for part in parts if part.path != "$"),
    ]


def _smallest(item: Item, path: str, effort: Effort) -> tuple[Both, list[DefinitionWarning]]:
    below = [_smallest(child, inner, effort) for inner, child in placed_items(item, path)]
    both = both_of(item, [part for part, _ in below])
    found = [warning for _, warnings in below for warning in warnings]
    if not found and (certain := certainty(both, effort)):
        why = "whatever its conditions say of a user" if isinstance(item, Group) else "whatever a user does"
        found = [DefinitionWarning(path, f"is {certain} true, {why}")]
    return both, found


def _large(definition: Definition) -> list[DefinitionWarning]:
    first: dict[Aggregate, str] = {}
    for path, condition in placed_leaves(definition):
        if not isinstance(condition, SegmentMembership):
            first.setdefault(aggregate_of(condition), path)
    sizes = state_bytes(gathering(definition))
    large = [
        DefinitionWarning(first[aggregate], f"keeps {_size(size)} {_OF_WHOM}")
        for aggregate, size in sizes.items()
        if size > MANY_BYTES
    ]
    total = sum(sizes.values())
    if total > MANY_BYTES and not large:
        return [DefinitionWarning("$", f"the definition keeps {_size(total)} {_OF_WHOM}")]
    return large


def _size(size: int) -> str:
    return f"up to {-(-size // KIB)} KiB"
