"""Services that are started again whenever they end, as the local runner does."""

import threading
from typing import Any, NamedTuple, Self

from tests.fault.api import ApiProcess
from tests.support.evaluators import EvaluatorProcess, ExporterProcess, ServiceProcess

_PAUSE_S = 0.3


class Life(NamedTuple):
    """How one process of a supervised service ended."""

    exit_code: int
    last_line: str


class Supervised(ServiceProcess):
    """Restarted after every end but those by `stop` and `end`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lives: list[Life] = []
        """The processes that ended without being told to by `stop` or `end`, oldest first."""
        self._ending = threading.Event()
        self._starting = threading.Lock()

    @property
    def restarts(self) -> int:
        """How often it was started again, or will be in a moment."""
        return len(self.lives)

    def start(self) -> Self:
        """Start it, without waiting, and watch over it."""
        self._ending.clear()
        super().start()
        threading.Thread(target=self._guard, name="supervisor", daemon=True).start()
        return self

    def stop(self) -> int:
        """SIGTERM, for good; the exit code."""
        self._let_go()
        return super().stop()

    def end(self) -> None:
        """SIGKILL, for good."""
        self._let_go()
        super().end()

    def _let_go(self) -> None:
        with self._starting:  # none is left half started
            self._ending.set()

    def _guard(self) -> None:
        while True:
            process = self._process
            assert process is not None
            exit_code = process.wait()
            if self._ending.is_set():
                return
            self.lives.append(Life(exit_code, self.last_lines(1)))
            if self._ending.wait(_PAUSE_S):
                return
            with self._starting:
                if self._ending.is_set():
                    return
                super().start()

    def _refuse_ended(self) -> None:
        """Nothing: it will be started again."""


class SupervisedApi(Supervised, ApiProcess):
    """An api under supervision."""


class SupervisedEvaluator(Supervised, EvaluatorProcess):
    """An evaluator under supervision."""


class SupervisedExporter(Supervised, ExporterProcess):
    """An exporter under supervision."""
