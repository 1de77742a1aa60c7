"""The servers of a run of the suite: each can be killed, stopped for a while, and started again on its port."""

import contextlib
import signal
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from deploy.local.units import Unit
from tests.support.servers import Servers, addresses_of, started_servers

_PATIENCE_S = 20


class Server:
    """Kafka, Valkey or PostgreSQL. Whoever faults it need not repair it: `revive` is called after each case."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        return self._unit.process.pid if self._unit.process is not None else None

    def kill(self) -> None:
        """SIGKILL; returns when it and its children are gone."""
        family = self._family()
        family[0].send_signal(signal.SIGKILL)
        assert self._unit.process is not None
        self._unit.process.wait(_PATIENCE_S)
        for child in family[1:]:  # they end by themselves, unless they are stopped
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGCONT)
        psutil.wait_procs(family[1:], _PATIENCE_S)

    def start(self) -> None:
        """Start it again on its port, with its data; returns when it answers."""
        self._unit.start()

    def stop(self) -> None:
        """End it in order."""
        self._unit.stop()

    def pause(self) -> None:
        """SIGSTOP, its children too: connections stay, and nobody answers."""
        for process in self._family():
            process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        for process in self._family():
            process.send_signal(signal.SIGCONT)

    def revive(self) -> None:
        """Make it run, whatever was done to it."""
        if self.pid is None:
            self.start()
        else:
            self.resume()

    def _family(self) -> list[psutil.Process]:
        assert self.pid is not None, f"{self._unit.name} does not run"
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]


class FaultServers(NamedTuple):
    """The three of them, and their addresses."""

    kafka: Server
    valkey: Server
    postgres: Server
    addresses: Servers

    def revive(self) -> None:
        """Make all run."""
        for server in (self.kafka, self.valkey, self.postgres):
            server.revive()


@contextlib.contextmanager
def fault_servers() -> Iterator[FaultServers]:
    """Servers from packages for a run of the suite: never containers, whose processes cannot be faulted so."""
    with started_servers() as started:
        units = {unit.name: Server(unit) for unit in started.units}
        yield FaultServers(units["kafka"], units["valkey"], units["postgres"], addresses_of(started))
