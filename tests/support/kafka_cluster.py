"""Three Kafka nodes on this machine, each broker and controller, every one to be killed and started again alone."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka.admin import AdminClient

from deploy.local.kafka import Kafka, new_cluster_id
from deploy.local.ports import HOST, free_ports
from deploy.local.units import start_together
from tests.support.evaluators import wait_for
from tests.support.servers import KAFKA_TEST_SETTINGS, end_orphans, new_folder

NODES = 3
COPIES = 3
_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "1",  # Kafka's own default: our topics must say better
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # a killed node is noticed within a test's patience
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "5000",
}
_IN_SYNC_S = 60
_OFFSETS = "__consumer_offsets"


class KafkaCluster:
    """Nodes 1 to 3; every node has a copy of each topic."""

    def __init__(self) -> None:
        ports = free_ports(2 * NODES)
        brokers, controllers = ports[:NODES], ports[NODES:]
        voters = ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(controllers, 1))
        cluster_id = new_cluster_id()
        self._nodes: dict[int, Kafka] = {}
        self._folders = [new_folder() for _ in range(NODES)]
        for number, (port, controller_port) in enumerate(zip(brokers, controllers, strict=True), 1):
            own = {"node.id": str(number), "controller.quorum.voters": voters}
            settings = KAFKA_TEST_SETTINGS | _REPLICATED | own
            self._nodes[number] = Kafka(self._folders[number - 1], port, controller_port, settings, cluster_id)
        self.bootstrap_servers = ",".join(node.bootstrap_servers for node in self._nodes.values())
        """`host:port` of all nodes, separated by commas."""
        self._admin: Any = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def start(self) -> None:
        """Start all nodes; a single one would wait for a majority."""
        start_together(list(self._nodes.values()))

    def kill(self, number: int) -> None:
        """SIGKILL to one node; returns when it is gone."""
        process = self._nodes[number].process
        if process is not None and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def remove(self) -> None:
        """SIGKILL to every node (without a majority none would end in order), and their data away."""
        for number in self._nodes:
            self.kill(number)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self, number: int) -> None:
        """Let one node end in order: it hands over what it leads first."""
        self._nodes[number].stop()

    def restart(self, number: int) -> None:
        """Start one node again, on its data; returns when it answers."""
        self._nodes[number].start()

    def leader(self, topic: str, partition: int) -> int:
        """The number of the node that leads a partition, -1 when none does."""
        return int(self._admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader)

    def coordinator(self, group: str) -> int:
        """The number of the node that keeps a consumer group: the leader of its partition of offsets."""
        # not asked of the client library: it aborts the process when the one asked for is killed meanwhile
        return self.leader(_OFFSETS, _java_hash(group) % int(_REPLICATED["offsets.topic.num.partitions"]))

    def await_in_sync(self) -> None:
        """Wait until every node has every partition: one may be killed again without loss of service."""
        wait_for(self._in_sync, _IN_SYNC_S, "every node has every partition")

    def _in_sync(self) -> bool:
        topics = self._admin.list_topics(timeout=10).topics.values()
        return all(
            len(p.isrs) == len(p.replicas) and p.leader > 0 for topic in topics for p in topic.partitions.values()
        )


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """A running cluster, its data in temporary folders."""
    end_orphans()
    cluster = KafkaCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def _java_hash(text: str) -> int:
    """What Kafka makes of a group's id to find its partition."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
