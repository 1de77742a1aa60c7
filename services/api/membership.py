"""What a user's packed value says at an instant: values in, answer out."""

from collections.abc import Container
from typing import NamedTuple

from shared.contracts.redis_keys import COMING, NEVER, SOFT, unpack_records

SUCCESSOR_US = 10_000_000
"""So long after a turn the evaluator has written what follows it, unless it is away."""


class Membership(NamedTuple):
    """A user's segments at an instant.

    `stale`: a soft turn has passed, or one whose successor is not known: one of the answers is only the last known.
    `next_change_at` (microseconds) is the next instant at which time alone changes the answer, None when it never
    does or is not known exactly.
    """

    segment_ids: list[int]
    stale: bool
    next_change_at: int | None


NOWHERE = Membership([], stale=False, next_change_at=None)


def membership_at(value: bytes | None, now: int, asked: Container[int]) -> Membership:
    """The membership in the `asked` segments at `now` (microseconds since 1970)."""
    if value is None:
        return NOWHERE
    member_of: list[int] = []
    stale = False
    hard_turn = soft_turn = NEVER
    for segment_id, _, turns_at, flags in unpack_records(value):
        if segment_id not in asked:
            continue
        turned = False
        if flags & SOFT:
            # the turn comes then or later: past it the last known answer stands
            if now >= turns_at:
                stale = True
            soft_turn = min(soft_turn, turns_at)
        elif now >= turns_at:
            turned = True
            # who entered by time may leave by time again: the sweep writes that turn, when it comes to it
            stale |= bool(flags & COMING) and now - turns_at > SUCCESSOR_US
        elif turns_at < hard_turn:
            hard_turn = turns_at
        if turned is (flags & COMING == COMING):
            member_of.append(segment_id)
    member_of.sort()
    known = hard_turn != NEVER and hard_turn <= soft_turn
    return Membership(member_of, stale, hard_turn if known else None)


def member_since(value: bytes, segment_id: int, now: int) -> int | None:
    """When the user of a packed value entered a segment (microseconds since 1970); None: no member at `now`."""
    if segment_id not in membership_at(value, now, (segment_id,)).segment_ids:
        return None
    return entered_at(value)[segment_id]


def entered_at(value: bytes) -> dict[int, int]:
    """When the user entered each segment of a packed value, or will: microseconds since 1970."""
    return {
        segment_id: turns_at if flags & COMING else entered
        for segment_id, entered, turns_at, flags in unpack_records(value)
    }
