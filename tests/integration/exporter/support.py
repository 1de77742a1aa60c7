"""Messages in and out of Kafka, and the exporter as a process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.contracts.export_request import ExportRequest, encode_export_request, export_request_key
from shared.contracts.topics import EXPORT_REQUESTS, MIB, SIDE_PARTITIONS
from shared.runtime.kafka import new_producer

ROOT = Path(__file__).parents[3]
PATIENCE_S = 40


def produce(bootstrap_servers: str, messages: list[tuple[bytes | None, bytes | None]]) -> None:
    """Messages into export-requests, acknowledged."""
    producer = new_producer(bootstrap_servers, MIB)
    for key, value in messages:
        producer.produce(EXPORT_REQUESTS, value, key)
    assert producer.flush(PATIENCE_S) == 0


def request(export_id: int) -> tuple[bytes, bytes]:
    """Key and value of an export request."""
    wish = ExportRequest(export_id=export_id, outbox_id=100 + export_id, tenant=1, segment_id=5, format="csv")
    return export_request_key(export_id), encode_export_request(wish)


def await_messages(bootstrap_servers: str, topic: str, count: int) -> list[Message]:
    """The messages of a topic from its beginning, as soon as there are `count`; fails after some seconds."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test-reader", "log_level": 2})
    try:
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(SIDE_PARTITIONS)])
        found: list[Message] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < count and time.monotonic() < deadline:
            found += [message for message in consumer.consume(count, timeout=0.2) if message.error() is None]
        assert len(found) >= count, f"{topic}: {len(found)} of {count} messages after {PATIENCE_S} s"
        return found
    finally:
        consumer.close()


def headers_of(message: Message) -> list[tuple[str, bytes]]:
    """The headers, every value in bytes."""
    pairs = message.headers() or []
    assert isinstance(pairs, list)
    return [(name, value) for name, value in pairs if isinstance(value, bytes)]


def committed(bootstrap_servers: str, group: str) -> int:
    """The sum of the offsets that a group has committed for export-requests."""
    partitions = [TopicPartition(EXPORT_REQUESTS, p) for p in range(SIDE_PARTITIONS)]
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 2})
    try:
        return sum(max(place.offset, 0) for place in consumer.committed(partitions, timeout=10))
    finally:
        consumer.close()


def topic_names(bootstrap_servers: str) -> set[str]:
    """The topics that the broker has, its own left out."""
    topics = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=10).topics
    return {name for name in topics if not name.startswith("__")}


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Process:
    """`python -m services.exporter` with an environment of its own."""

    def __init__(self, bootstrap_servers: str, redis_url: str, folder: Path, **settings: str) -> None:
        self.port = int(settings.setdefault("SHOAL_EXPORTER_PORT", str(free_port())))
        addresses = {
            "SHOAL_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "SHOAL_REDIS_URL": redis_url,
            "SHOAL_HISTORY": str(folder / "history"),
            "SHOAL_EXPORTS": str(folder / "exports"),
        }
        environ = {"PATH": os.environ["PATH"]} | addresses | settings
        self._running = subprocess.Popen(
            [sys.executable, "-m", "services.exporter"], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
        )

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal, if one is given, and wait for the end: exit code and what stood in stderr."""
        if number is not None:
            self._running.send_signal(number)
        _, told = self._running.communicate(timeout=PATIENCE_S)
        return self._running.returncode, told

    def kill(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(ProcessLookupError):
            self._running.kill()
        self._running.communicate()


@contextlib.contextmanager
def exporter_process(bootstrap_servers: str, redis_url: str, folder: Path, **settings: str) -> Iterator[Process]:
    """A running exporter, killed at the end if it still runs."""
    process = Process(bootstrap_servers, redis_url, folder, **settings)
    try:
        yield process
    finally:
        process.kill()
