"""Removes export files whose time is over, and what attempts that died have left."""

import logging
import threading

from services.exporter.exports.files import ExportFiles
from services.exporter.settings import ExporterSettings
from shared.domain.times import SECOND_US
from shared.runtime.address import Address, told
from shared.runtime.clock import Clock

_EVERY_S = 600

log = logging.getLogger(__name__)


class Removal:
    """Every exporter does it; several at once harm nobody."""

    def __init__(self, settings: ExporterSettings, clock: Clock) -> None:
        self._files = ExportFiles(Address.of(settings.exports))
        self._clock, self._retention_s = clock, settings.export_retention_s

    def run(self, stop: threading.Event) -> None:
        """Look now and then until told to stop."""
        while True:
            try:
                if removed := self._files.remove_old(self._clock.now_us() / SECOND_US, self._retention_s):
                    log.info("%d export files removed", removed)
            except OSError as fault:
                log.warning("old export files are not removed, trying again: %s", told(fault))
            if stop.wait(_EVERY_S):
                return
