"""Definitions as the oracle is asked about them: each carries those it refers to, and where in the log it begins."""

import json
from collections.abc import Mapping

from tests.support import oracle
from tests.support.oracle import Json


def as_served(definitions: Mapping[int, Json], sinces: Mapping[int, int]) -> dict[int, Json]:
    """The serving definitions by segment id, for questions about all events that count.

    Each looks at the events from its own offset in `sinces` on, wherever it is referred to. Equal conditions are the
    same object.
    """
    same: dict[str, Json] = {}
    counting = {segment_id: _counting_from(sinces[segment_id], item, same) for segment_id, item in definitions.items()}
    return {segment_id: oracle.with_references(item, counting) for segment_id, item in counting.items()}


def _counting_from(since: int, item: Json, same: dict[str, Json]) -> Json:
    if "logic" in item:
        return item | {"conditions": [_counting_from(since, part, same) for part in item["conditions"]]}
    condition = item | {"since": since}
    return same.setdefault(json.dumps(condition, sort_keys=True), condition)
