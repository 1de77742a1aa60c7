"""How far the log of events goes: asked of Kafka when the history is, because that may lag behind it."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from shared.contracts.topics import EVENTS
from shared.history.snapshot import Snapshot
from shared.runtime.kafka import end_offsets, first_times_ms, topic_id

_TIMEOUT_S = 2.0
_PAUSE_S = 0.1
_MS = 1000

_log = logging.getLogger(__name__)


class LogState(NamedTuple):
    """The topic `events` at one instant: its id, and by partition the end and when the first message was appended
    (in milliseconds; partitions without messages are left out).
    """

    epoch: str
    end_offsets: Mapping[int, int]
    first_times_ms: Mapping[int, int]


class EventsLog:
    """Asks Kafka about `events`; from any thread, connected at the first question."""

    def __init__(self, bootstrap_servers: str, partitions: int) -> None:
        self._bootstrap_servers, self._partitions = bootstrap_servers, partitions
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None

    def read(self) -> LogState | None:
        """The log now; None if Kafka does not answer within some seconds. Blocks."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                return self._ask(self._connected())
            except KafkaException as error:
                if time.monotonic() > deadline_s:
                    _log.warning("Kafka does not tell how far the log of events goes: %s", error)
                    return None
            time.sleep(_PAUSE_S)  # a partition may be on its way to another leader

    def _ask(self, admin: AdminClient) -> LogState:
        return LogState(
            topic_id(admin, EVENTS, _TIMEOUT_S),
            end_offsets(admin, EVENTS, self._partitions, _TIMEOUT_S),
            first_times_ms(admin, EVENTS, self._partitions, _TIMEOUT_S),
        )

    def _connected(self) -> AdminClient:
        with self._lock:
            if self._admin is None:
                self._admin = AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 2})
            return self._admin


def known_until_us(log: LogState, snapshot: Snapshot, now_us: int) -> int:
    """The instant up to which the snapshot has all events received: now, unless it lags behind the log.

    Args:
        log: as it was before the snapshot was taken.
        snapshot: of the history of this log.
        now_us: the wall clock before both; what was received later by the broker's clock is known too.
    """
    archived_us = {p: received for p, received in snapshot.received_us.items() if received >= 0}
    first_us = {p: first * _MS for p, first in log.first_times_ms.items()}
    behind = [p for p in first_us if snapshot.next_offsets.get(p, 0) < log.end_offsets[p]]
    if not behind:
        return max((now_us, *archived_us.values()))
    # the next message may have been received in the same millisecond as the last one archived
    return max(0, min(archived_us.get(p, first_us[p]) for p in behind) - 1)
