"""A compute of an api under test without evaluators: what they would report is reported."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import redis

from shared.contracts.command import Command, decode_command
from shared.contracts.progress import Progress
from shared.contracts.redis_keys import clock_key, head_key
from shared.contracts.topics import COMMANDS
from tests.support.served_api import PARTITIONS, PATIENCE_S, ServedApi, next_messages, reading, report
from tests.support.servers import Servers


def count_at_least(value: int) -> dict[str, Any]:
    condition = {"type": "event_count", "event_type": "order", "operator": "gte", "value": value}
    return {"logic": "AND", "conditions": [condition]}


class Follower:
    """Plays the evaluator: reads the commands of one partition, answers for all."""

    def __init__(self, servers: Servers, commands: Callable[[], Command]) -> None:
        self._servers, self._commands = servers, commands

    def command(self, segment_id: int) -> Command:
        """The next command about the segment."""
        while True:
            command = self._commands()
            if command.segment_id == segment_id:
                return command

    def report(self, command: Command, status: str, partitions: range = range(PARTITIONS), **more: Any) -> None:
        """The report of these partitions about a command."""
        values = {"kind": "segment", "id": command.segment_id, "outbox_id": command.outbox_id, "status": status}
        reports = [msgspec.convert({**values, "partition": p, **more}, Progress) for p in partitions]
        report(self._servers, *reports)


def own_store(redis_url: str) -> None:
    """Every partition of the membership store has an owner, and no members unless somebody writes them."""
    with redis.Redis.from_url(redis_url) as store:
        for partition in range(PARTITIONS):
            store.mset({head_key(partition): "1 1", clock_key(partition): "1"})


@contextmanager
def followed(servers: Servers) -> Iterator[Follower]:
    """One that plays the evaluator until the end of the block."""
    own_store(servers.redis_url)
    with reading(servers, COMMANDS, [0]) as consumer:
        yield Follower(servers, lambda: decode_command(next_messages(consumer, 1)[0].value() or b""))


def compute(api: ServedApi, segment_id: int) -> None:
    answer = api.client.post(f"/api/segments/{segment_id}/compute/")
    assert (answer.status_code, answer.json()) == (202, {"status": "queued"})


def await_segment(api: ServedApi, segment_id: int, **wanted: Any) -> dict[str, Any]:
    """The segment once it shows these values."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        segment: dict[str, Any] = api.get(f"/api/segments/{segment_id}/")
        if {key: segment[key] for key in wanted} == wanted:
            return segment
        assert time.monotonic() < deadline, segment
        time.sleep(0.02)  # the api has no way to wait for a status


def computed(api: ServedApi, follower: Follower, segment_id: int) -> Command:
    """Compute through both phases; the switch."""
    compute(api, segment_id)
    follower.report(follower.command(segment_id), "ready")
    switch = follower.command(segment_id)
    follower.report(switch, "switched")
    await_segment(api, segment_id, status="computed")
    return switch
