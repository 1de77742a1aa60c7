"""Apache Kafka, one KRaft node on the loopback interface, its data in one folder."""

import base64
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import ports
from deploy.local.errors import LocalRunError
from deploy.local.kafka_jars import class_path
from deploy.local.packages import java
from deploy.local.ports import HOST
from deploy.local.process import ManagedProcess

READY_TIMEOUT_S = 90

_LOG4J = """\
<Configuration status="error">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console>
  </Appenders>
  <Loggers><Root level="INFO"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class Kafka:
    """One broker that is its own controller; `settings` are added to its properties, and win.

    Nodes with one `cluster_id` and each other's addresses in their settings are one cluster.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        port: int,
        controller_port: int,
        settings: Mapping[str, str] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        self._folder = folder
        self._home = folder / "kafka"
        self._port = port
        self._properties = self._home / "server.properties"
        self._log4j = self._home / "log4j2.xml"
        self._settings = node_settings(self._home, port, controller_port) | dict(settings or {})
        self._cluster_id = cluster_id or new_cluster_id()
        self.process: ManagedProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self._port}"

    def start(self) -> None:
        """Fetch the jars if needed, format the data folder if it is new, start, and return when it answers.

        Raises:
            LocalRunError: one line that says why not.
        """
        jars = class_path()
        self._write_configuration()
        if not (self._home / "data" / "meta.properties").exists():
            self._format(jars)
        self.process = ManagedProcess(
            "kafka",
            [*self._java("-Xms256m", "-Xmx512m", f"-Dlog4j2.configurationFile={self._log4j}"), *self._main(jars)],
            self._folder,
            title="Kafka",
            cwd=self._folder,
        )
        self.process.start()
        self.process.await_ready(self._answers, READY_TIMEOUT_S)

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.stop()

    def _write_configuration(self) -> None:
        (self._home / "tmp").mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in self._settings.items()))
        self._log4j.write_text(_LOG4J)

    def _main(self, jars: str) -> list[str]:
        return ["-cp", jars, "kafka.Kafka", str(self._properties)]

    def _java(self, *options: str) -> list[str]:
        own = (
            f"-Djava.io.tmpdir={self._home / 'tmp'}",  # native libraries are unpacked there
            "-XX:-UsePerfData",  # would write beside it
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:+UseSerialGC",  # a small heap on a shared machine
            "-XX:TieredStopAtLevel=1",  # half the CPU of the first minute, which is all that many runs have
        )
        return [str(java()), *own, *options]

    def _format(self, jars: str) -> None:
        tool = ["-cp", jars, "kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", str(self._properties)]
        quiet = f"-Dlog4j2.configurationFile={self._log4j}"
        done = subprocess.run([*self._java(quiet), *tool], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip().splitlines() or ["it said nothing"]
            if any("No space left on device" in line for line in said):
                raise LocalRunError(f"The disk is full ({self._home}): free some space and start again.")
            raise LocalRunError(f"Kafka could not set up its data: {said[-1]}")

    def _answers(self) -> bool:
        if not ports.answers(self._port):
            return False
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False


def node_settings(home: Path, port: int, controller_port: int) -> dict[str, str]:
    """The properties of the one node, its data under `home`."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(home / "data"),
        "auto.create.topics.enable": "false",
        # one node holds every copy
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # few groups and transactions: 50 partitions each would only be opened and closed
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        # every start would wait 3 s for more members of the group
        "group.initial.rebalance.delay.ms": "0",
    }


def new_cluster_id() -> str:
    """An id that no other cluster has."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # would be read as an option
            return text
