"""Looks after the history beside the archiver, in one of all exporters."""

import logging
import threading
from collections.abc import Callable

from services.exporter.settings import ExporterSettings
from shared.history.address import HistoryAddress
from shared.history.errors import HistoryUnavailable
from shared.history.schema import CHANGES, EVENTS
from shared.history.upkeep import Upkeep
from shared.runtime.process import give_back_memory

_EVERY_S = 10

log = logging.getLogger(__name__)


class UpkeepLoop:
    """Merges and removes files of the history now and then."""

    def __init__(self, settings: ExporterSettings, is_mine: Callable[[], bool]) -> None:
        """`is_mine`: whether this process is the one to do it; two that do it at once harm nobody."""
        self._upkeeps = [Upkeep(HistoryAddress.of(settings.history, schema)) for schema in (EVENTS, CHANGES)]
        self._is_mine = is_mine

    def stop(self) -> None:
        """Let `run` end soon; what it is about is left undone."""
        for upkeep in self._upkeeps:
            upkeep.stop()

    def run(self, stop: threading.Event) -> None:
        """Look after the history until told to stop."""
        while not stop.wait(_EVERY_S):
            if not self._is_mine():
                continue
            try:
                if merged := sum(upkeep.run() for upkeep in self._upkeeps):
                    log.info("%d files of the history merged into others", merged)
                    give_back_memory()
            except HistoryUnavailable as fault:
                log.warning("the history is not looked after, trying again: %s", fault)
