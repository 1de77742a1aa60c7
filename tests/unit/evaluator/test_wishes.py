"""What a new owner does about the segments that it finds."""

from typing import TYPE_CHECKING, cast

import pytest

from services.evaluator.state_records import SCHEMA_VERSION, PlanVersion, SegmentRecord
from services.evaluator.state_table import StateTable
from services.evaluator.wishes import Wishes

if TYPE_CHECKING:
    from services.evaluator.changelog import ChangelogWriter

DEFINITION = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "a", "operator": "gt", "value": 1}]}


@pytest.mark.parametrize(
    ("schema_version", "reconciled", "walks"),
    [(SCHEMA_VERSION, True, False), (SCHEMA_VERSION, False, True), (SCHEMA_VERSION - 1, True, True)],
)
def test_everybody_is_asked_where_a_walk_was_left_undone_or_an_older_version_wrote(
    schema_version: int, reconciled: bool, walks: bool
) -> None:
    table, version = StateTable(0), PlanVersion(1, DEFINITION, 0)
    table.put_segment(SegmentRecord(schema_version, 0, 1, 7, 1, version, None, False, reconciled))
    table.compile()
    unused = cast("ChangelogWriter", None)  # nothing is written before the walk ends
    assert Wishes(table, unused, lambda _: None).walking is walks
