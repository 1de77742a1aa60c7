"""Reads the commands of the partitions owned: first all there are, then each as it comes.

A thread of its own, because the client blocks; what it reads reaches the event loop as calls of a listener.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from shared.contracts.command import Command, decode_command
from shared.contracts.topics import COMMANDS

log = logging.getLogger(__name__)
_POLL_S = 0.2


class Listener(Protocol):
    """Who hears of one partition's commands, in the event loop."""

    def on_command(self, command: Command) -> None:
        """One wish; of several for a segment the last counts."""

    def on_caught_up(self) -> None:
        """All commands that there were have been heard."""


class Catalog:
    """Follows `commands` for any set of partitions."""

    def __init__(self, consumer: Consumer, beat: Callable[[], None]) -> None:
        """`consumer` must report the end of a partition (`enable.partition.eof`) and belong to nobody else."""
        self._consumer, self._beat = consumer, beat
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[int, Listener] = {}
        self._wishes: deque[tuple[int, Listener | None]] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalog", daemon=True)
        self._thread.start()

    def follow(self, partition: int, listener: Listener) -> None:
        """Read the partition's commands from their beginning on."""
        self._wishes.append((partition, listener))

    def leave(self, partition: int) -> None:
        """Stop reading the partition's commands."""
        self._wishes.append((partition, None))

    def stop(self) -> None:
        """End the thread and the consumer."""
        self._stopped.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._beat()
            self._take_wishes()
            message = self._consumer.poll(_POLL_S) if self._listeners else self._stopped.wait(_POLL_S) or None
            if message is None or message is True:
                continue
            listener = self._listeners.get(message.partition() or 0)
            error = message.error()
            if error is None:
                self._take(listener, message.key(), message.value())
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - that is its public spelling
                log.warning("commands: %s", KafkaException(error))
            elif listener is not None:
                self._loop.call_soon_threadsafe(listener.on_caught_up)

    def _take_wishes(self) -> None:
        while self._wishes:
            partition, listener = self._wishes.popleft()
            if self._listeners.pop(partition, None) is not None:
                self._consumer.incremental_unassign([TopicPartition(COMMANDS, partition)])
            if listener is not None:
                self._listeners[partition] = listener
                # Compaction leaves the start at 0; a start by name is asked for, half a second later.
                self._consumer.incremental_assign([TopicPartition(COMMANDS, partition, 0)])

    def _take(self, listener: Listener | None, key: bytes | None, value: bytes | None) -> None:
        if listener is None or value is None:
            return
        try:
            command = decode_command(value)
        except msgspec.MsgspecError as error:
            log.error("commands: key %r cannot be read and is passed over: %s", key, error)  # noqa: TRY400 - one line
        else:
            self._loop.call_soon_threadsafe(listener.on_command, command)
