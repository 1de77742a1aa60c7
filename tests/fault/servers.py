"""The servers of a run of the suite: each can be killed, stopped for a while, and started again on its port."""

import contextlib
import signal
from collections.abc import Iterator
from typing import NamedTuple, Self

import psutil

from deploy.local.ports import HOST, free_ports
from deploy.local.units import Unit
from tests.support.kafka_cluster import COPIES, KafkaCluster
from tests.support.servers import Servers, addresses_of, started_servers
from tests.support.tcp_proxy import TcpProxy

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
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):  # a child of PostgreSQL ends with its connection
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
    """The three of them, and their addresses.

    `kafka_proxy` is a second way to Kafka, for whoever is given `behind_proxy` as its address. With a `cluster` that
    is the Kafka of `addresses`, and `kafka` idles.
    """

    kafka: Server
    valkey: Server
    postgres: Server
    addresses: Servers
    kafka_proxy: TcpProxy
    cluster: KafkaCluster | None = None

    @property
    def behind_proxy(self) -> dict[str, str]:
        """For the environment of a service: Kafka is to be reached through the proxy."""
        return {"SHOAL_KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.kafka_proxy.port}"}

    @property
    def copies(self) -> int:
        """Of each topic."""
        return 1 if self.cluster is None else COPIES

    def on_cluster(self, cluster: KafkaCluster) -> Self:
        """The same with three nodes of Kafka."""
        addresses = self.addresses._replace(kafka_bootstrap_servers=cluster.bootstrap_servers)
        return self._replace(addresses=addresses, cluster=cluster)

    def revive(self) -> None:
        """Make all run."""
        self.kafka_proxy.set_pass()
        for server in (self.kafka, self.valkey, self.postgres):
            server.revive()


@contextlib.contextmanager
def fault_servers() -> Iterator[FaultServers]:
    """Servers from packages for a run of the suite: never containers, whose processes cannot be faulted so."""
    with TcpProxy(HOST, *free_ports(1)) as proxy, started_servers(proxy) as started:
        units = {unit.name: Server(unit) for unit in started.units}
        yield FaultServers(units["kafka"], units["valkey"], units["postgres"], addresses_of(started), proxy)
