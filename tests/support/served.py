"""Definitions as the oracle is asked about them: each carries those it refers to, and where in the log it begins."""

import json
from collections.abc import Callable, Mapping

from shared.domain.aggregate import aggregate_of
from shared.domain.condition import gathering
from shared.domain.definition import parse_definition
from tests.support.oracle_values import Json

Inherited = Mapping[str, int]
"""By content hash the aggregates that a version found gathered, and since when."""


def as_served(
    definitions: Mapping[int, Json], sinces: Mapping[int, int], inherited: Mapping[int, Inherited] | None = None
) -> dict[int, Json]:
    """The serving definitions by segment id, for questions about all events that count.

    Each looks at the events from its own offset in `sinces` on, wherever it is referred to; what it inherited begins
    earlier. Equal conditions are the same object.
    """
    same: dict[str, Json] = {}
    counting = {
        segment_id: _counting_from(_since_of(sinces[segment_id], (inherited or {}).get(segment_id, {})), item, same)
        for segment_id, item in definitions.items()
    }
    return {segment_id: with_references(item, counting) for segment_id, item in counting.items()}


def with_references(definition: Json, definitions: Mapping[int, Json]) -> Json:
    """A definition whose references carry the definitions they ask about; one that is missing has no members."""
    if "logic" in definition:
        return definition | {"conditions": [with_references(item, definitions) for item in definition["conditions"]]}
    if definition["type"] != "segment_membership" or definition["segment_id"] not in definitions:
        return definition
    return definition | {"definition": with_references(definitions[definition["segment_id"]], definitions)}


def _since_of(cutover: int, inherited: Inherited) -> Callable[[Json], int]:
    def since_of(condition: Json) -> int:
        parsed = gathering(parse_definition({"logic": "AND", "conditions": [condition]}))
        return min((inherited.get(aggregate_of(each).content_hash(), cutover) for each in parsed), default=cutover)

    return since_of if inherited else lambda _: cutover


def _counting_from(since_of: Callable[[Json], int], item: Json, same: dict[str, Json]) -> Json:
    if "logic" in item:
        return item | {"conditions": [_counting_from(since_of, part, same) for part in item["conditions"]]}
    condition = item | {"since": since_of(item)}
    return same.setdefault(json.dumps(condition, sort_keys=True), condition)
