"""The two answers side by side: values in, differences out. Nothing here waits or asks anybody."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from services.api.membership import membership_at
from shared.contracts.redis_keys import COMING, MembershipRecord, unpack_records

SETTLED_AFTER_US = 5_000_000
"""A partition without events is settled so long after a reading: longer than clocks may differ unnoticed."""


class Reading(NamedTuple):
    """What Redis says of some users of one partition, all of one instant.

    epoch: of the owner. clock: the partition's, as of which the answers are compared. read_at: by our clock; both in
    microseconds. Of the log that has this `log_epoch` the events below `next_offset` are in the answers. values:
    packed, by user.
    """

    epoch: int
    clock: int
    read_at: int
    log_epoch: str
    next_offset: int
    values: Mapping[str, bytes | None]


class Suspect(NamedTuple):
    """An answer that differs from history, which says the opposite of `live`.

    entered_at: of the live membership, 0 for none; an answer that turns and turns back has another one.
    """

    user_id: str
    segment_id: int
    live: bool
    entered_at: int


class Compared(NamedTuple):
    """What came of comparing: pairs of user and segment, by segment, and those that differ.

    `passed` were not compared: their stored turn has passed, and what follows it is not written yet.
    """

    checked: dict[int, int]
    passed: dict[int, int]
    suspects: frozenset[Suspect]


def compare(reading: Reading, members: Mapping[int, Collection[str]]) -> Compared:
    """Hold the live answers as of the partition's clock against those of history.

    Args:
        reading: of the users to compare.
        members: by segment to compare, those of the users who are members by history, as of the reading's clock.
    """
    checked, passed = dict.fromkeys(members, 0), dict.fromkeys(members, 0)
    suspects = set()
    for user_id, value in reading.values.items():
        live = set(membership_at(value, reading.clock, members).segment_ids)
        records = {record.segment_id: record for record in unpack_records(value or b"")}
        for segment_id, by_history in members.items():
            record = records.get(segment_id)
            if record is not None and record.turns_at <= reading.clock:
                passed[segment_id] += 1
                continue
            checked[segment_id] += 1
            is_member = segment_id in live
            if is_member is not (user_id in by_history):
                suspects.add(Suspect(user_id, segment_id, is_member, _entered_at(record)))
    return Compared(checked, passed, frozenset(suspects))


def is_settled(earlier: Reading, later: Reading, end_offset: int) -> bool:
    """Whether the values of `later` are of the events below its offset exactly, where they are those of `earlier`.

    An owner publishes in order: an offset further on stands for all events below the one before. And where no event
    comes, the clock passes the instant of a reading only in an owner that has read the partition to its end. Another
    owner may have begun further back.

    `end_offset`: of the partition, asked for after `earlier` was read. Values may be ahead of the offset, when all of
    them have just been written anew, but not of the log.
    """
    if earlier.epoch != later.epoch or earlier.log_epoch != later.log_epoch or later.next_offset < end_offset:
        return False
    if later.next_offset > earlier.next_offset:
        return True
    return later.clock >= max(earlier.clock, earlier.read_at) + SETTLED_AFTER_US


def _entered_at(record: MembershipRecord | None) -> int:
    return 0 if record is None or record.flags & COMING else record.entered_at
