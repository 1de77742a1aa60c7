"""Who owned which partition when, as the changelog says it; and what a replaced owner still wrote."""

import signal
import time
from collections import defaultdict
from typing import NamedTuple

from services.evaluator.state_records import CLAIM_KEY, decode_claim, decode_head
from shared.contracts.topics import CHANGELOG
from tests.fault.world import World
from tests.support.evaluators import EvaluatorProcess, wait_for
from tests.support.stream import Stream

STOPPED_S = 6.0
"""Three session timeouts of `World`."""
PATIENCE_S = 60


class Claimed(NamedTuple):
    """A claim: its offset is the owner's epoch, `pid` the owner's process."""

    epoch: int
    pid: int


class Ownership:
    """What the changelog tells now.

    `late`: users' records that a replaced owner wrote after its successor's claim. `unrepaired`: the keys of those
    whose last record is such a one.
    """

    def __init__(self, stream: Stream) -> None:
        self.claims: dict[int, list[Claimed]] = defaultdict(list)
        self.late = 0
        self.unrepaired: set[bytes] = set()
        for message in stream.read(CHANGELOG, stream.partitions):
            partition, key, value = message.partition() or 0, message.key() or b"", message.value()
            if key == CLAIM_KEY:
                pid = int(decode_claim(value or b"").worker.rpartition(":")[2])
                self.claims[partition].append(Claimed(message.offset() or 0, pid))
            elif value is not None and not key.startswith(b"\0"):
                claims = self.claims[partition]  # none yet: compaction took the claim that was here
                is_late = bool(claims) and decode_head(value).epoch < claims[-1].epoch
                self.late += is_late
                (self.unrepaired.add if is_late else self.unrepaired.discard)(key)

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


def stop_until_replaced(world: World, worker: EvaluatorProcess) -> None:
    """SIGSTOP in the middle of work, until others own all its partitions, three session timeouts at least."""
    began_s, pid = time.monotonic(), worker.pid
    worker.send(signal.SIGSTOP)
    wait_for(
        lambda: time.monotonic() > began_s + STOPPED_S and pid not in Ownership(world.stream).owners.values(),
        PATIENCE_S,
        "another worker owns everything",
    )
