"""The exporter: archives events, makes export files, looks after both, and says how it is.

What blocks is in threads (`services/exporter/background.py`); requests are read in the event loop.
"""

import asyncio

from confluent_kafka import Producer

from services.exporter import archives
from services.exporter.archiver import Archiver
from services.exporter.background import Background
from services.exporter.delivery import DELIVERY_TIMEOUT_MS, Delivery
from services.exporter.exports.removal import Removal
from services.exporter.request_loop import RequestLoop
from services.exporter.settings import ExporterSettings
from services.exporter.upkeep_loop import UpkeepLoop
from shared.contracts.topics import DEAD_LETTERS_MAX_BYTES, declare
from shared.runtime import metrics
from shared.runtime.clock import SystemClock
from shared.runtime.health import HealthServer
from shared.runtime.kafka import ensure_topics, new_producer
from shared.runtime.process import Watchdog

_LOOP = "the loop over export requests"
_ARCHIVER, _CHANGE_ARCHIVER = "the archiver of events", "the archiver of changes"
_STORAGE_PATIENCE_S = 120
"""An archiver waits for storage, whose own limits end a wait well before."""


class Exporter:
    """One exporter process; `run` is its life."""

    def __init__(self, settings: ExporterSettings, delivery: Delivery, watchdog: Watchdog) -> None:
        self._settings, self._watchdog = settings, watchdog
        clock = SystemClock()
        self._requests = RequestLoop(settings, delivery, clock)
        self._archiver = Archiver(archives.events(settings), settings, lambda: watchdog.beat(_ARCHIVER))
        self._change_archiver = Archiver(archives.changes(settings), settings, lambda: watchdog.beat(_CHANGE_ARCHIVER))
        self._upkeep = UpkeepLoop(settings, lambda: self._archiver.owns_first)
        self._removal = Removal(settings, clock)
        self.health = HealthServer(settings.host, settings.port, self._state, metrics.EXPORTER)

    def _state(self) -> dict[str, str | None]:
        archived = {"history": self._archiver.fault, "changes": self._change_archiver.fault}
        return self._requests.parts | archived

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises:
            CannotListen: the health address cannot be bound.
            WrongTopic: a topic differs from what is declared.
            KafkaUnavailable: no broker answered at start.
        """
        await self.health.start()
        try:
            servers, partitions = self._settings.kafka_bootstrap_servers, self._settings.partitions
            await asyncio.to_thread(ensure_topics, servers, declare(partitions), self._settings.replication_factor)
            await self._work(stop)
        finally:
            await self.health.stop()

    async def _work(self, stop: asyncio.Event) -> None:
        """Archive and export; a defect of either ends both."""
        background = Background(stop.set)
        for part in (_ARCHIVER, _CHANGE_ARCHIVER):
            self._watchdog.arm(part, max(self._settings.standstill_s, _STORAGE_PATIENCE_S))
        background.start("archiver", self._archiver.run)
        background.start("change archiver", self._change_archiver.run)
        background.start("upkeep", self._upkeep.run)
        background.start("removal", self._removal.run)
        self._watchdog.arm(_LOOP)
        self._watchdog.start()
        try:
            await self._requests.run(stop, lambda: self._watchdog.beat(_LOOP))
        finally:
            self._watchdog.stop()
            self._upkeep.stop()
            await background.stop()


def create_app(settings: ExporterSettings) -> Exporter:
    """Wire an exporter; nothing is connected before its `run`."""

    def producer() -> Producer:
        return new_producer(settings.kafka_bootstrap_servers, DEAD_LETTERS_MAX_BYTES, DELIVERY_TIMEOUT_MS)

    return Exporter(settings, Delivery(producer), Watchdog(settings.standstill_s, "exporter"))
