"""The records of a partition's changelog: user states, segments, the partition record and claims.

Keys of users begin with a digit (`shared.contracts.keys.user_key`); all others begin with NUL.
"""

from typing import Any

import msgspec

from shared.domain.compiled_segment import slot_key

SCHEMA_VERSION = 3
"""2: memberships say whether every event must ask for them anew; where a record is older, everybody is asked once.
3: versions say what they lack of history; older ones counted live events only, and lack all of it.
"""

_WITH_HISTORY = 3

EVERYTHING = "*"
"""In place of content hashes: all aggregates of a version."""

CLAIM_KEY = b"\0claim"
PARTITION_KEY = b"\0partition"
SEGMENT_PREFIX = b"\0segment:"


class Claim(msgspec.Struct, array_like=True, frozen=True):
    """Written when a worker takes the partition; the offset of this record is the worker's epoch."""

    schema_version: int
    worker: str
    claimed_at_us: int


class PartitionRecord(msgspec.Struct, array_like=True):
    """The last record of every flush.

    `flushed_through`: every event below this offset is contained in the records before this one. `clock`: the
    partition's T in microseconds. `published`: number of the last publication that Redis and
    `membership-changes` have. `log_epoch`: topic id of `events`. `redis_epoch`, `redis_n`: the head of
    the last script that Redis had acknowledged then; data with a lower head is older than this record. `generation`:
    of the memberships made from now on; a rebuild from the log raises it. `rebuild_until`: the log must be read up
    to this offset before lookups may be answered again; 0 when nothing is being rebuilt.
    """

    schema_version: int = SCHEMA_VERSION
    epoch: int = 0
    log_epoch: str = ""
    flushed_through: int = 0
    clock: int = 0
    published: int = 0
    redis_epoch: int = 0
    redis_n: int = 0
    generation: int = 0
    rebuild_until: int = 0


class PlanVersion(msgspec.Struct, array_like=True, frozen=True):
    """One version of a segment in this partition; live events count for it from the offset `cutover` on.

    What lies before the cutover is merged from history. inherited: by content hash, the aggregates that were gathered
    already when it came, and the keys of their slots. lacking: content hashes of those that history must still give,
    or EVERYTHING; none, and the version is complete. wish: the number of the first of the wishes taken together with
    the one that brought it.
    """

    version: int
    definition: dict[str, Any]
    cutover: int
    inherited: dict[str, str] = {}
    lacking: tuple[str, ...] = ()
    wish: int = 0


class SegmentRecord(msgspec.Struct, array_like=True, frozen=True):
    """What is followed for one segment: the last wish taken in. `epoch` is that of the owner that wrote it.

    `reconciled`: every user known when the wish came has the answer of the wish (the walk over all is done).
    """

    schema_version: int
    epoch: int
    tenant: int
    segment_id: int
    outbox_id: int
    serving: PlanVersion | None
    computing: PlanVersion | None
    deleted: bool
    reconciled: bool

    @property
    def versions(self) -> list[PlanVersion]:
        """Those that are followed."""
        return [version for version in (self.serving, self.computing) if version is not None]

    @property
    def is_complete(self) -> bool:
        """Whether none of them lacks what history knows."""
        return not any(version.lacking for version in self.versions)


class UserHead(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first fields of a user state, all that recovery must look at."""

    schema_version: int
    wake_at: int
    applied_offset: int
    epoch: int
    pub: int


encode = msgspec.msgpack.Encoder().encode
decode_claim = msgspec.msgpack.Decoder(Claim).decode
decode_partition = msgspec.msgpack.Decoder(PartitionRecord).decode
_decode_any_segment = msgspec.msgpack.Decoder(list[Any]).decode
decode_head = msgspec.msgpack.Decoder(UserHead).decode


def decode_segment(value: bytes) -> SegmentRecord:
    """A segment's record, of whatever schema. Raises msgspec.MsgspecError when it is none of ours."""
    fields = _decode_any_segment(value)
    if fields and type(fields[0]) is int and fields[0] < _WITH_HISTORY:
        fields[5:7] = [None if version is None else _without_history(*version) for version in fields[5:7]]
    return msgspec.convert(fields, SegmentRecord)


def _without_history(
    version: int, definition: dict[str, Any], cutover: int, inherited: dict[str, int] | None = None
) -> list[Any]:
    """The fields of a version that counted live events only; of what it inherited it knew since when it counts."""
    keys = {content: slot_key(content, since) for content, since in (inherited or {}).items()}
    return [version, definition, cutover, keys, [EVERYTHING] if cutover else []]


def segment_key(segment_id: int) -> bytes:
    """The changelog key of a segment's record."""
    return SEGMENT_PREFIX + str(segment_id).encode()


def segment_id_of(key: bytes) -> int | None:
    """The segment of a changelog key made by `segment_key`; None for any other key."""
    return int(key.removeprefix(SEGMENT_PREFIX)) if key.startswith(SEGMENT_PREFIX) else None
