"""How far the log of events goes: asked of Kafka when the history is, because that may lag behind it."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from shared.contracts.topics import EVENTS
from shared.history.snapshot import Snapshot
from shared.runtime.kafka import Place, end_offsets, first_since, topic_id

_TIMEOUT_S = 2.0
_PAUSE_S = 0.1
_MS = 1000

_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


class LogState(NamedTuple):
    """A topic at one instant: its id, and its end by partition."""

    epoch: str
    end_offsets: Mapping[int, int]


class EventsLog:
    """Asks Kafka about `events`, or a topic with as many partitions; from any thread, connected at the first question.

    Blocks for some seconds at most.
    """

    def __init__(self, bootstrap_servers: str, partitions: int, topic: str = EVENTS) -> None:
        self._bootstrap_servers, self._partitions, self._topic = bootstrap_servers, partitions, topic
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None

    def read(self) -> LogState | None:
        """The log now; None if Kafka does not answer in time."""
        return self._asked(
            lambda admin: LogState(
                topic_id(admin, self._topic, _TIMEOUT_S), end_offsets(admin, self._topic, self._partitions, _TIMEOUT_S)
            )
        )

    def known_until_us(self, log: LogState, snapshot: Snapshot, now_us: int) -> int | None:
        """The instant up to which all events received are in the snapshot; None if Kafka does not answer in time.

        Args:
            log: as it was before the snapshot was taken.
            snapshot: of the history of this log.
            now_us: the wall clock before both.
        """
        behind = [p for p, end in log.end_offsets.items() if snapshot.next_offsets.get(p, 0) < end]
        if not behind:
            return known_until_us(snapshot, [], {}, now_us)
        after_ms = {p: snapshot.received_us.get(p, -1) // _MS + 1 for p in behind}
        following = self._asked(lambda admin: first_since(admin, self._topic, after_ms, _TIMEOUT_S))
        return None if following is None else known_until_us(snapshot, behind, following, now_us)

    def _asked(self, ask: Callable[[AdminClient], _Answer]) -> _Answer | None:
        deadline_s = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                return ask(self._connected())
            except KafkaException as error:
                if time.monotonic() > deadline_s:
                    _log.warning("Kafka does not tell how far the topic %s goes: %s", self._topic, error)
                    return None
            time.sleep(_PAUSE_S)  # a partition may be on its way to another leader

    def _connected(self) -> AdminClient:
        with self._lock:
            if self._admin is None:
                self._admin = AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 2})
            return self._admin


def known_until_us(snapshot: Snapshot, behind: Iterable[int], following: Mapping[int, Place], now_us: int) -> int:
    """The instant up to which all events received are in the snapshot: now, unless partitions are behind.

    Of one that is, it ends just before the first message that is missing; several messages may have been received in
    the millisecond of the last one archived, so that it ends before that if some of them may be missing.

    Args:
        snapshot: of the history.
        behind: the partitions whose log goes on after what is archived.
        following: by partition the first message that was received in a later millisecond than the last one archived.
        now_us: the wall clock; what was received later by the broker's clock is known too.
    """
    known = [max((now_us, *snapshot.received_us.values()))]
    for partition in behind:
        archived_us, missing = snapshot.received_us.get(partition, -1), following.get(partition)
        if missing is not None and (archived_us < 0 or missing.offset == snapshot.next_offsets[partition]):
            known.append(missing.time_ms * _MS - 1)
        elif archived_us >= 0:
            known.append(archived_us - 1)
    return max(0, min(known))
