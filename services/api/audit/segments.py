"""Which segments of a tenant one round asks about, and which of them nobody has touched meanwhile."""

import secrets
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.api.database import Database
from services.api.repository.audits import SegmentState
from shared.domain.definition import Definition, parse_definition

States = Mapping[int, SegmentState]


class Asked(NamedTuple):
    """Some segments of a tenant.

    definitions: to ask, by segment. referenced: those that they refer to, however far. depends_on: by segment asked, it
    and all that it refers to. states: of the tenant's segments when they were chosen.
    """

    definitions: dict[int, Definition]
    referenced: dict[int, Definition]
    depends_on: dict[int, frozenset[int]]
    states: States

    def only(self, segment_ids: Iterable[int]) -> "Asked":
        """The same for some of the segments."""
        return self._replace(definitions={each: self.definitions[each] for each in segment_ids})

    def unchanged(self, states: States) -> set[int]:
        """The segments asked whose answers no wish has changed between these states and those of the choice."""
        return {
            segment_id
            for segment_id in self.definitions
            if all(self.states.get(each) == states.get(each) for each in self.depends_on[segment_id])
        }


async def choose(database: Database, tenant: int, partitions: int, limit: int) -> Asked:
    """At most `limit` segments, by chance, that every user has the answers of. Raises DatabaseUnavailable."""
    async with database.begin_for_all() as work:
        states = await work.audits.states(tenant, partitions)
        edges: dict[int, set[int]] = {}
        for row in await work.references.all_of(tenant):
            if row.version == states[row.segment_id].active_version:
                edges.setdefault(row.segment_id, set()).add(row.refers_to)
        settled = {each: needs for each in states if (needs := comparable(each, edges, states))}
        chosen = secrets.SystemRandom().sample(sorted(settled), min(limit, len(settled)))
        needed = frozenset().union(*(settled[each] for each in chosen))
        found = await work.audits.definitions(needed)
    # one without an active version has no members, which is what the absent have
    definitions = {
        each: parse_definition(raw) for each, raw in found.items() if states[each].active_version is not None
    }
    asked = {each: definitions[each] for each in chosen}
    return Asked(asked, definitions, {each: settled[each] for each in chosen}, states)


def comparable(segment_id: int, edges: Mapping[int, set[int]], states: States) -> frozenset[int]:
    """What the segment's answers depend on; empty if it has no members, or something of it is still changing."""
    if states[segment_id].active_version is None:
        return frozenset()
    reached, waiting = {segment_id}, [segment_id]
    while waiting:
        for other in edges.get(waiting.pop(), set()) - reached:
            reached.add(other)
            waiting.append(other)
    is_settled = all(states[each].is_settled for each in reached if each in states)
    return frozenset(reached) if is_settled else frozenset()
