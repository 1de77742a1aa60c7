"""The ceiling of recovery, as a process: consume the given ranges of the changelog, count, and print the seconds."""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition

from shared.contracts.topics import CHANGELOG

Ranges = dict[int, tuple[int, int]]
"""Partition -> `[start, end)` of its offsets."""


def read(bootstrap_servers: str, ranges: Ranges) -> tuple[int, int, float]:
    """Read the ranges: messages, bytes of keys and values, and the seconds from the first ask to the last message."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "bench",
            "fetch.queue.backoff.ms": 5,  # else the client rests for a second whenever its queue is full
            "log_level": 0,
        }
    )
    began, messages, size = time.monotonic(), 0, 0
    consumer.assign([TopicPartition(CHANGELOG, p, start) for p, (start, _) in ranges.items()])
    wanted = sum(end - start for start, end in ranges.values())
    while messages < wanted:
        for message in consumer.consume(10_000, 0.05):
            messages += 1
            size += len(message.key() or b"") + len(message.value() or b"")
    took_s = time.monotonic() - began
    consumer.close()
    return messages, size, took_s


if __name__ == "__main__":
    asked = json.loads(sys.argv[2])
    print(json.dumps(read(sys.argv[1], {int(p): tuple(r) for p, r in asked.items()})))
