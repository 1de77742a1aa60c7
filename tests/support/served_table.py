"""A partition's table that serves segments, as if their commands had been taken in and everybody had the answer."""

from collections.abc import Mapping

from services.evaluator.state_records import SCHEMA_VERSION, PlanVersion, SegmentRecord
from services.evaluator.state_table import StateTable
from tests.support.stream import TENANT


def segment_record(
    segment_id: int, version: PlanVersion | None, *, deleted: bool = False, computing: PlanVersion | None = None
) -> SegmentRecord:
    """What is followed of a segment of the tests' tenant; None: nothing any more."""
    return SegmentRecord(SCHEMA_VERSION, 0, TENANT, segment_id, 1, version, computing, deleted, reconciled=True)


def serve(table: StateTable, versions: Mapping[int, PlanVersion | None]) -> StateTable:
    """The table, which serves these versions by segment id besides those that it served."""
    for segment_id, version in versions.items():
        table.put_segment(segment_record(segment_id, version))
    table.compile()
    return table
