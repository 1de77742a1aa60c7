"""References between segments: to segments that are there, in no circle, in no endless chain.

Whoever calls these holds the lock of the tenant, so that two changes at once cannot do together what neither may do
alone: `docs/decisions/0019-references-and-warnings.md`.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from operator import attrgetter

from services.api.database import UnitOfWork
from services.api.definitions import refuse
from services.api.errors import Conflict
from services.api.repository.references import ReferenceRow
from shared.domain.errors import Fault
from shared.domain.references import MAX_CHAIN, Edges, Reference, chain_length, circle, turned_around

_NAMED = 5


async def check(
    work: UnitOfWork, tenant: int, segment_id: int | None, references: Sequence[Reference], faults: Iterable[Fault] = ()
) -> None:
    """Check what a definition of the segment (None: a new one) refers to.

    Args:
        work: the transaction, which holds the lock of the tenant.
        tenant: whose segment it is.
        segment_id: the segment.
        references: those of the definition.
        faults: what else is wrong with it, told with what is found.

    Raises:
        Invalid: with all faults.
        Conflict: the references would lead back to the segment.
    """
    if not references:
        refuse(list(faults))
        return
    refuse([*faults, *await _strangers(work, tenant, references)])
    rows = await work.references.all_of(tenant)
    edges = _edges(rows)
    if segment_id is not None and (way := circle(edges, segment_id, {each.segment_id for each in references})):
        named = " -> ".join(map(str, way))
        raise Conflict(f"no segment may refer to itself, directly or by others: segment {named}{_older(rows, way)}")
    refuse(_too_long(edges, segment_id, references))


async def check_deletion(work: UnitOfWork, tenant: int, segment_id: int) -> None:
    """Raises Conflict, naming them, when active segments refer to the segment."""
    referrers = await work.references.active_referrers(tenant, segment_id)
    if not referrers:
        return
    versions: dict[str, list[int]] = {}
    for row in referrers:
        versions.setdefault(f'{row.segment_id} "{row.name}"', []).append(row.version)
    named = [f"{segment} (version {', '.join(map(str, sorted(of)))})" for segment, of in versions.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    raise Conflict(
        f"still referred to by segment {', '.join(named[:_NAMED])}{more}: "
        "deactivate or delete what refers to it, or compute a version that does not"
    )


async def _strangers(work: UnitOfWork, tenant: int, references: Sequence[Reference]) -> list[Fault]:
    known = await work.references.known(tenant, {each.segment_id for each in references})
    expected = "must be the id of a segment of the tenant"
    return [
        Fault(path, f"{expected}, {segment_id} {'was deleted' if segment_id in known else 'is none'}")
        for path, segment_id in references
        if not known.get(segment_id)
    ]


def _edges(rows: Iterable[ReferenceRow]) -> Edges:
    edges: dict[int, set[int]] = {}
    for row in rows:
        edges.setdefault(row.segment_id, set()).add(row.refers_to)
    return edges


def _older(rows: Collection[ReferenceRow], way: Sequence[int]) -> str:
    """Which steps of the way are those of older versions, which no newest definition shows."""
    by = {(row.segment_id, row.refers_to): row for row in sorted(rows, key=attrgetter("is_newest"))}
    steps = [by[step] for step in pairwise(way[1:])]
    return "".join(
        f"; {row.segment_id} refers to {row.refers_to} by version {row.version}, until a newer one of it is computed"
        for row in steps
        if not row.is_newest
    )


def _too_long(edges: Edges, segment_id: int | None, references: Iterable[Reference]) -> list[Fault]:
    before = 1 if segment_id is None else chain_length(turned_around(edges), segment_id)
    return [
        Fault(each.path, f"at most {MAX_CHAIN} segments may refer to each other one after the other, here are more")
        for each in references
        if before + chain_length(edges, each.segment_id) > MAX_CHAIN
    ]
