"""Everything kept of one user, and its stored form."""

from typing import Any

import msgspec

SCHEMA_VERSION = 1

NEVER = (1 << 63) - 1
"""An instant that does not come."""

Partial = list[Any]
"""The partial value of one aggregate, which merges with others of its kind: a flat list of integers, but for the values
of properties, which are JSON values."""

Slots = dict[str, Partial]
"""Partials by slot key; an absent slot is a zero."""


class Membership(msgspec.Struct, array_like=True, gc=False):
    """What was last published of one membership; instants are microseconds since 1970."""

    version: int
    member: bool
    entered_at: int
    turns_at: int
    flags: int
    generation: int
    sequence: int
    recheck_at: int


class UserState(msgspec.Struct, array_like=True, gc=False):
    """The state of one user. The order of the fields is the stored form: append only.

    wake_at: the earliest instant at which time alone may need work on this user.
    applied_offset: the highest offset folded; a replay at or below it changes nothing.
    epoch: the owner that wrote the record. pub: the publish number of the last published turn.
    as_of: the instant of the last evaluation; no later one is earlier.
    memberships: by segment id. event_ids: id -> received_at, oldest first, of 24 h. unsent: changes not
    known to be sent, each with the number of its publication and its encoded form. merged: the slots of which this user
    has what history knows, while others may still lack it.
    """

    schema_version: int = SCHEMA_VERSION
    wake_at: int = NEVER
    applied_offset: int = -1
    epoch: int = 0
    pub: int = 0
    as_of: int = 0
    slots: Slots = {}
    memberships: dict[int, Membership] = {}
    event_ids: dict[str, int] = {}
    unsent: list[tuple[int, bytes]] = []
    merged: tuple[str, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_LONG_INTEGER = 1
"""Ext code of an integer of more than 64 bits, which msgpack lacks: its decimal text."""


def _extended(_code: int, text: memoryview) -> int:
    return int(bytes(text))


_decoder = msgspec.msgpack.Decoder(UserState, ext_hook=_extended)


def encode_state(state: UserState) -> bytes:
    """The msgpack of a state. Integers of more than 64 bits are written as extensions."""
    try:
        return _encoder.encode(state)
    except OverflowError:
        slots = {key: list(map(_storable, partial)) for key, partial in state.slots.items()}
        return _encoder.encode(msgspec.structs.replace(state, slots=slots))


def decode_state(value: bytes) -> UserState:
    """A state from its msgpack. Raises msgspec.MsgspecError when it is none of ours."""
    return _decoder.decode(value)


def _storable(item: Any) -> Any:
    if type(item) is not int or -(1 << 63) <= item < 1 << 63:
        return item
    return msgspec.msgpack.Ext(_LONG_INTEGER, str(item).encode())
