"""Recovery of a stock Faust Table: changelogs written as it writes them, and the time until the app counts on."""

import json
import subprocess
import sys
import time
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from shared.contracts.topics import declare
from shared.runtime.kafka import ensure_topics, producer_config
from tests.bench.stock_faust import changelog_of

SIZES = (10_000, 110_000)
"""Keys of the two Tables; their difference in time is recovery alone, without the start of the process."""
_PATIENCE_S = 300


class _Table(NamedTuple):
    """One app and its Table of so many keys, all of them counted once."""

    keys: int
    app_id: str
    topic: str


class StockRecovery:
    """Two stock apps whose Tables differ in size only."""

    def __init__(self, bootstrap_servers: str, partitions: int) -> None:
        self._servers, self._partitions, self._counted = bootstrap_servers, partitions, 1
        self._producer: Producer = Producer(producer_config(bootstrap_servers, 1_048_576) | {"log_level": 0})
        self._tables = [_Table(n, f"bench-recovery-{n}", f"bench-recovery-{n}-events") for n in SIZES]
        for table in self._tables:
            self._fill(table)

    def recover(self) -> list[float]:
        """Seconds from the start of each app to a right count in every partition."""
        self._counted += 1
        return [self._recover(table) for table in self._tables]

    def _fill(self, table: _Table) -> None:
        topic = type(declare(1)[0])
        names = (table.topic, changelog_of(table.app_id))
        ensure_topics(self._servers, [topic(name, self._partitions, {}) for name in names])
        for number in range(table.keys):
            key = json.dumps(f"user-{number}").encode()
            self._producer.produce(changelog_of(table.app_id), b"1", key, number % self._partitions)
            self._producer.poll(0)
        assert self._producer.flush(60) == 0

    def _recover(self, table: _Table) -> float:
        counts = self._new_counts(table)
        command = [sys.executable, "-m", "tests.bench.stock_faust", self._servers, str(self._partitions)]
        began = time.monotonic()
        worker = subprocess.Popen(
            [*command, table.app_id, table.topic], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for partition in range(self._partitions):
                value = json.dumps({"user_id": f"user-{partition}"}).encode()
                self._producer.produce(table.topic, value, None, partition)
            assert self._producer.flush(60) == 0
            self._await_counts(counts)
            return time.monotonic() - began
        finally:
            worker.terminate()
            worker.wait()
            counts.close()

    def _new_counts(self, table: _Table) -> Any:
        """A reader of what the app will count from now on."""
        consumer = Consumer({"bootstrap.servers": self._servers, "group.id": "bench", "log_level": 0})
        places = [TopicPartition(changelog_of(table.app_id), p) for p in range(self._partitions)]
        for place in places:
            place.offset = consumer.get_watermark_offsets(place)[1]
        consumer.assign(places)
        return consumer

    def _await_counts(self, consumer: Any) -> None:
        """Wait until the app has counted one event in every partition on top of what it recovered."""
        deadline = time.monotonic() + _PATIENCE_S
        right: set[int] = set()
        while len(right) < self._partitions:
            assert time.monotonic() < deadline, f"{len(right)} of {self._partitions} partitions recovered"
            for message in consumer.consume(100, 0.02):
                assert json.loads(message.value()) == self._counted, "a count that recovery did not bring back"
                right.add(message.partition())
