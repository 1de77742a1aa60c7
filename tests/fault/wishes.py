"""Wishes in PostgreSQL and in Kafka: every one that was committed is sent to every partition, and nothing else is."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec

from shared.contracts.command import Command, decode_command
from shared.contracts.topics import COMMANDS
from tests.fault.world import World
from tests.support.evaluators import wait_for

SENT_S = 60
_STORED = f"select id, message::text as message from outbox where topic = '{COMMANDS}' order by id"

Wishes = dict[int, Command]
"""By their number in the outbox."""
Sent = dict[int, dict[int, list[int]]]
"""By partition and segment, the numbers of the wishes in the order of the log."""


def rows(world: World, statement: str) -> "list[asyncpg.Record]":
    """What PostgreSQL answers; it must be up."""

    async def ask() -> "list[asyncpg.Record]":
        connection = await asyncpg.connect(world.addresses.database_url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    return asyncio.run(ask())


def stored_wishes(world: World) -> Wishes:
    """What the outbox holds for evaluators."""
    return {row["id"]: _command(row["id"], row["message"]) for row in rows(world, _STORED)}


def _command(number: int, message: str) -> Command:
    fields: dict[str, Any] = msgspec.json.decode(message)
    return msgspec.convert({**fields, "outbox_id": number}, Command)


def await_sent(world: World) -> None:
    """Wait until nothing waits in the outbox."""
    wait_for(
        lambda: not rows(world, "select id from outbox where sent_at is null limit 1"), SENT_S, "the outbox is sent"
    )


def sent_wishes(world: World, stored: Wishes) -> tuple[Sent, list[str]]:
    """What the log holds, and where it says something else than PostgreSQL."""
    sent: Sent = {partition: defaultdict(list) for partition in range(world.stream.partitions)}
    strange = set()
    for message in world.stream.read(COMMANDS, world.stream.partitions):
        command = decode_command(message.value() or b"")
        sent[message.partition() or 0][command.segment_id].append(command.outbox_id)
        if stored.get(command.outbox_id) != command:
            strange.add(f"in Kafka {command}, in PostgreSQL {stored.get(command.outbox_id)}")
    return sent, sorted(strange)


def wrong_wishes(world: World) -> Iterator[str]:
    """Wait until all is sent: each wish is in every partition, none that was not committed, the newest one is last."""
    await_sent(world)
    stored = stored_wishes(world)
    sent, strange = sent_wishes(world, stored)
    yield from strange
    newest = dict(sorted((wish.segment_id, number) for number, wish in stored.items()))
    for partition, segments in sent.items():
        for number in stored.keys() - {number for numbers in segments.values() for number in numbers}:
            yield f"wish {number} is not in partition {partition}"
        for segment_id, numbers in segments.items():
            if numbers[-1] != newest.get(segment_id):
                yield f"the last wish of segment {segment_id} in partition {partition} is {numbers[-1]} of {numbers}"
    for row in rows(world, "select id, wish_id from segments where wish_id is not null"):
        if newest.get(row["id"]) != row["wish_id"]:
            yield f"segment {row['id']} wishes {row['wish_id']}, its newest in the outbox is {newest.get(row['id'])}"
