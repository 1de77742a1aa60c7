"""What a failed case leaves to look at: the topics as JSON lines, and the logs of all processes."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Message

from shared.contracts.topics import CHANGELOG, EVENTS, MEMBERSHIP_CHANGES
from tests.fault.world import World


def save(world: World) -> Path:
    """Write everything to a new folder; where it is."""
    folder = Path(tempfile.mkdtemp(prefix="shoal-fault-dump-"))
    for topic in (EVENTS, MEMBERSHIP_CHANGES, CHANGELOG):
        with (folder / f"{topic}.jsonl").open("w") as lines:
            for message in world.stream.read(topic, world.stream.partitions):
                lines.write(json.dumps(_readable(message)) + "\n")
    for number, process in enumerate(world.processes):
        shutil.copy(process.log, folder / f"{number}-{process.name}.log")
    return folder


def _readable(message: Message) -> dict[str, Any]:
    return {
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp()[1],
        "key": (message.key() or b"").decode(errors="backslashreplace"),
        "value": _value(message.value()),
    }


def _value(value: bytes | None) -> Any:
    """JSON or msgpack as what it says; anything else as text."""
    if value is None:
        return None
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            return msgspec.to_builtins(decode(value), str_keys=True)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return value.decode(errors="backslashreplace")
