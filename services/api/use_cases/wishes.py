"""The wished state of a segment, as the evaluator is told: one outbox row for every change of it."""

from services.api.database import UnitOfWork
from services.api.repository.segments import SegmentRow
from shared.contracts.topics import COMMANDS


async def wish(
    work: UnitOfWork,
    segment: SegmentRow,
    *,
    serving: int | None = None,
    computing: int | None = None,
    deleted: bool = False,
) -> int:
    """Store the wish that `serving` answers and `computing` gathers (versions, or None); returns its outbox id.

    The caller holds the lock of the segment, so that the wishes of one segment have ascending ids.
    """
    message = {
        "tenant": segment.tenant_id,
        "segment_id": segment.id,
        "serving": await _version(work, segment.id, serving),
        "computing": await _version(work, segment.id, computing),
        "deleted": deleted,
    }
    outbox_id = await work.outbox.add(COMMANDS, segment.id, message)
    await work.segments.change(segment.id, wish_id=outbox_id)
    return outbox_id


async def _version(work: UnitOfWork, segment_id: int, version: int | None) -> dict[str, object] | None:
    if version is None:
        return None
    saved = await work.segments.version(segment_id, version)
    return {"version": version, "definition": saved.definition}
