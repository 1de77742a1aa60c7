"""The ceiling, as a process: consume and decode the given ranges of `events`, count, and print the CPU seconds."""

import asyncio
import json
import resource
import sys
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.topics import EVENTS


class Event(msgspec.Struct, gc=False):
    """What any reader of these events must decode."""

    tenant: int
    user_id: str
    event_type: str
    payload: dict[str, Any]
    occurred_at: str | None = None
    event_id: str | None = None


async def consume(bootstrap_servers: str, ranges: dict[int, tuple[int, int]]) -> tuple[int, float]:
    """Read `[start, end)` of each partition: the number of events, and the CPU seconds from first to last."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, isolation_level="read_committed", max_poll_records=5_000
    )
    await consumer.start()
    consumer.assign([TopicPartition(EVENTS, p) for p in ranges])
    for partition, (start, _) in ranges.items():
        consumer.seek(TopicPartition(EVENTS, partition), start)
    decode, count, began = msgspec.json.Decoder(Event).decode, 0, _cpu_s()
    wanted = sum(end - start for start, end in ranges.values())
    while count < wanted:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                decode(record.value)
                count += 1
    used = _cpu_s() - began
    await consumer.stop()
    return count, used


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    asked = json.loads(sys.argv[2])
    print(json.dumps(asyncio.run(consume(sys.argv[1], {int(p): tuple(r) for p, r in asked.items()}))))
