"""Commands (topic `commands`): each states the whole wished state of one segment.

A command is written once to every partition under the segment's id, so that compaction loses nothing and the
owner of each partition reads all segments. A command whose `outbox_id` is not higher than the last is ignored.
"""

from typing import Any

import msgspec

SCHEMA_VERSION = 1


class VersionWish(msgspec.Struct, frozen=True):
    """One version of a segment; `definition` is the JSON as the user saved it."""

    version: int
    definition: dict[str, Any]


class Command(msgspec.Struct, frozen=True):
    """The wished state of a segment.

    `serving` answers lookups; `computing` gathers state silently until the switch. Both null: nothing is
    followed and the members leave. `deleted`: the segment is gone for ever.
    """

    tenant: int
    segment_id: int
    outbox_id: int
    serving: VersionWish | None = None
    computing: VersionWish | None = None
    deleted: bool = False
    schema_version: int = SCHEMA_VERSION


def command_key(segment_id: int) -> bytes:
    """The message key of a segment's commands."""
    return str(segment_id).encode()


_decoder = msgspec.json.Decoder(Command)


def encode_command(command: Command) -> bytes:
    """The JSON of a command."""
    return msgspec.json.encode(command)


def decode_command(value: bytes) -> Command:
    """A command from its JSON. Raises msgspec.MsgspecError when it is none of ours."""
    return _decoder.decode(value)
