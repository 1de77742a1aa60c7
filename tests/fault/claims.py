"""Who owned which partition when, as the changelog says it; and what a replaced owner still wrote."""

from collections import defaultdict
from typing import NamedTuple

from services.evaluator.state_records import CLAIM_KEY, decode_claim, decode_head
from shared.contracts.topics import CHANGELOG
from tests.support.stream import Stream


class Claimed(NamedTuple):
    """A claim: its offset is the owner's epoch, `pid` the owner's process."""

    epoch: int
    pid: int


class Ownership:
    """What the changelog tells now. `late`: users' records that a replaced owner wrote after its successor's claim."""

    def __init__(self, stream: Stream) -> None:
        self.claims: dict[int, list[Claimed]] = defaultdict(list)
        self.late = 0
        for message in stream.read(CHANGELOG, stream.partitions):
            partition, key, value = message.partition() or 0, message.key() or b"", message.value()
            if key == CLAIM_KEY:
                pid = int(decode_claim(value or b"").worker.rpartition(":")[2])
                self.claims[partition].append(Claimed(message.offset() or 0, pid))
            elif value is not None and not key.startswith(b"\0"):
                self.late += decode_head(value).epoch < self.claims[partition][-1].epoch

    @property
    def owners(self) -> dict[int, int]:
        """The process that claimed each partition last."""
        return {partition: claims[-1].pid for partition, claims in self.claims.items()}

    @property
    def returns(self) -> int:
        """How often a partition came back to a process that had given it away to another."""
        return sum(
            sum(a.pid == c.pid != b.pid for a, b, c in zip(claims, claims[1:], claims[2:], strict=False))
            for claims in self.claims.values()
        )
