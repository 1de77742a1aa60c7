"""Definitions as the oracle is asked about them: each carries those it refers to, and where in the log it begins."""

import json
from collections.abc import Mapping

from tests.support.oracle_values import Json


def as_served(definitions: Mapping[int, Json], sinces: Mapping[int, int] | None = None) -> dict[int, Json]:
    """The serving definitions by segment id, for questions about all events that count.

    With `sinces`, each looks at the events from its own offset on, wherever it is referred to. Equal conditions are the
    same object.
    """
    same: dict[str, Json] = {}
    given = {
        segment_id: _counting_from((sinces or {}).get(segment_id, 0), item, same)
        for segment_id, item in definitions.items()
    }
    return {segment_id: with_references(item, given) for segment_id, item in given.items()}


def with_references(definition: Json, definitions: Mapping[int, Json]) -> Json:
    """A definition whose references carry the definitions they ask about; one that is missing has no members."""
    if "logic" in definition:
        return definition | {"conditions": [with_references(item, definitions) for item in definition["conditions"]]}
    if definition["type"] != "segment_membership" or definition["segment_id"] not in definitions:
        return definition
    return definition | {"definition": with_references(definitions[definition["segment_id"]], definitions)}


def _counting_from(since: int, item: Json, same: dict[str, Json]) -> Json:
    if "logic" in item:
        return item | {"conditions": [_counting_from(since, part, same) for part in item["conditions"]]}
    condition = item | {"since": since}
    return same.setdefault(json.dumps(condition, sort_keys=True), condition)
