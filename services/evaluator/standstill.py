"""What may stand still in a Faust worker without an error, brought to the watchdog's notice."""

import asyncio
import logging
from typing import Any

from shared.runtime.process import Watchdog, end_now

log = logging.getLogger(__name__)
_LOOK_S = 0.1
"""Less than whoever waits for readiness needs to act on it: the watchdog must not name the join then."""


class CommitWatch:
    """Watches from the first look at which a commit is under way or finished batches wait for one, until neither."""

    PART = "the commit of offsets"

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._armed = False
        self._under_way = False

    def note(self, *, under_way: bool) -> None:
        """A commit begins, or has ended."""
        self._under_way = under_way
        self._watchdog.beat(self.PART)

    def look(self, waiting: bool) -> None:
        """`waiting`: whether finished batches wait for a commit."""
        busy = waiting or self._under_way
        if busy and not self._armed:
            self._watchdog.arm(self.PART)
        elif not busy and self._armed:
            self._watchdog.disarm(self.PART)
        self._armed = busy


def is_in_group(app: Any) -> bool:
    """Whether the worker has joined and its partitions are settled."""
    return app.consumer_generation_id > 0 and not app.rebalancing


async def follow_worker(app: Any, watchdog: Watchdog) -> None:
    """Look at Faust until cancelled: has it joined, do commits pass, has it crashed?

    A refused join (a session timeout below the broker's minimum, say) leaves Faust waiting for ever, and a crash
    of one of its services leaves the process alive without work.
    """
    joined = False
    while True:
        await asyncio.sleep(_LOOK_S)  # Faust tells of none of these
        if app.crashed:
            end_now(f"evaluator: the Kafka worker crashed: {app.crash_reason!r}", traces=False)
        in_group = is_in_group(app)
        if in_group and not joined:
            watchdog.disarm("joining the group")
        elif joined and not in_group:
            watchdog.arm("joining the group")
        joined = in_group
        app.commits.look(any(app.consumer.unfinished_commits()))
