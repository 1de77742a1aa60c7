"""Membership changes (topic `membership-changes`, key of the user): who entered or left a segment, when and why."""

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

ChangeKind = Literal["entered", "exited"]
Reason = Literal["event", "time", "computed", "deactivated", "deleted"]


class Change(msgspec.Struct, frozen=True):
    """One turn of one membership.

    `id` is `<segment>:<user>:<generation>:<sequence>`: readers drop repeats by it. `at_us` is the instant of the
    turn in microseconds since 1970: the evaluation's `as_of` for an event, the exact instant for a turn by time.
    `entered_at_us`: when the membership that ends had begun, of an exit; `at_us` itself, of an entry; 0 where an older
    evaluator did not say.
    `reason`: `deactivated` and `deleted` are the segment's own; what another version of it, or any wish for a segment
    that it refers to, turns around is `computed`. Segments that refer to each other turn at the same instant.
    """

    id: str
    tenant: int
    segment_id: int
    version: int
    user_id: str
    change: ChangeKind
    at_us: int
    reason: Reason
    generation: int
    sequence: int
    entered_at_us: int = 0
    schema_version: int = SCHEMA_VERSION


def change_id(segment_id: int, user_id: str, generation: int, sequence: int) -> str:
    """The identity of a change, equal for every repeat of it."""
    return f"{segment_id}:{user_id}:{generation}:{sequence}"


_decoder = msgspec.json.Decoder(Change)


def encode_change(change: Change) -> bytes:
    """The JSON of a change."""
    return msgspec.json.encode(change)


def decode_change(value: bytes) -> Change:
    """A change from its JSON. Raises msgspec.MsgspecError when it is none of ours."""
    return _decoder.decode(value)
