"""Every key and channel of Redis, and the packed value of a user.

`{p}` is the hash tag: one partition, one slot of a cluster.
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

NEVER = (1 << 63) - 1
"""An instant that does not come: the membership has no end by time alone."""

SOFT = 1
"""The turn at `turns_at` comes then or later: events since have pushed it out, and a sweep writes the exact one."""
COMING = 2
"""Not a member yet: becomes one at `turns_at` by time alone. Without it: a member until `turns_at`."""

_RECORD = struct.Struct("<qqqB")
RECORD_BYTES = _RECORD.size


class MembershipRecord(NamedTuple):
    """One segment of a user's packed value; instants are microseconds since 1970.

    A record without `COMING` says: member, entered at `entered_at`, until just before `turns_at`.
    A record with `COMING` says: no member, but one from `turns_at` on (`entered_at` is 0).
    """

    segment_id: int
    entered_at: int
    turns_at: int
    flags: int


def pack_records(records: Iterable[MembershipRecord]) -> bytes:
    """The packed value of a user: fixed records of 25 bytes, little-endian, ascending by segment id."""
    return pack_flat([field for record in records for field in record])


def pack_flat(fields: list[int]) -> bytes:
    """As `pack_records`, from the fields of all records in one list: the form that is quick to make."""
    count = len(fields) // 4
    return _records_of(count).pack(*fields)


@lru_cache(maxsize=1024)
def _records_of(count: int) -> struct.Struct:
    return struct.Struct("<" + "qqqB" * count)


def unpack_records(value: bytes) -> Iterator[MembershipRecord]:
    """The records of a packed value. Raises struct.error when the length is no multiple of the record."""
    return map(MembershipRecord._make, _RECORD.iter_unpack(value))


def head_key(partition: int) -> bytes:
    """`<epoch> <n>`: the owner's epoch and the number of its last script, as text."""
    return b"{%d}:head" % partition


def clock_key(partition: int) -> bytes:
    """The partition's T: microseconds since 1970, as text."""
    return b"{%d}:clock" % partition


def applied_key(partition: int) -> bytes:
    """`<log epoch> <next offset>`: what is visible, as text."""
    return b"{%d}:applied" % partition


class Published(NamedTuple):
    """How far the changes of a partition are sent (`published_key`).

    Those of all scripts up to number `n` of the owner `epoch`, and of all owners before it, are in
    `membership-changes`; all turns at instants before `settled_us` (microseconds) are among them.
    """

    epoch: int
    n: int
    settled_us: int

    def covers(self, head: bytes) -> bool:
        """Whether the changes of everything that is visible under this value of `head_key` are sent."""
        return (self.epoch, self.n) >= script_of(head)


def published_key(partition: int) -> bytes:
    """`<epoch> <n> <settled_us>`, as text: a `Published`."""
    return b"{%d}:published" % partition


def published_of(value: bytes | None) -> Published:
    """What a value of `published_key` says; nothing is sent where there is none."""
    return Published(*map(int, value.split())) if value else Published(-1, -1, 0)


def rebuilding_key(partition: int) -> bytes:
    """Present while the partition's keys are being rewritten."""
    return b"{%d}:rebuilding" % partition


def epoch_of(head: bytes) -> int:
    """The owner's epoch in a value of `head_key`."""
    return script_of(head)[0]


def script_of(head: bytes) -> tuple[int, int]:
    """The owner's epoch and the number of its script: what is visible grows with it, unless data was lost."""
    epoch, n = head.split()
    return int(epoch), int(n)


def user_prefix(partition: int) -> bytes:
    """What all `user_key`s of a partition begin with; `<tenant>:<user id>` follows."""
    return b"{%d}:user:" % partition


def user_key(partition: int, tenant: int, user_id: str) -> bytes:
    """The packed memberships of one user; absent when there are none."""
    return b"{%d}:user:%d:%s" % (partition, tenant, user_id.encode())


def members_prefix(partition: int) -> bytes:
    """What all `members_key`s of a partition begin with; `<tenant>:<segment id>` follows."""
    return b"{%d}:members:" % partition


def members_key(partition: int, tenant: int, segment_id: int) -> bytes:
    """Sorted set, all scores 0: the user ids in a segment, for paging in lexical order."""
    return b"{%d}:members:%d:%d" % (partition, tenant, segment_id)


def questions_channel(partition: int) -> bytes:
    """The channel on which the partition's owner hears questions about its users."""
    return b"{%d}:questions" % partition


def answer_key(partition: int, question_id: str) -> bytes:
    """A list of the answers to one question, that soon expires: the owner's, and perhaps a replaced owner's."""
    return b"{%d}:answer:%s" % (partition, question_id.encode())


def data_pattern(partition: int) -> bytes:
    """What SCAN must match to find the values and member sets of a partition, and nothing else."""
    return b"{%d}:[um]*" % partition
