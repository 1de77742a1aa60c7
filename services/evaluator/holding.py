"""One partition while it is ours: what arrives before its owner is ready, and all that runs for it."""

import asyncio

from services.evaluator.owner import Owner
from shared.contracts.command import Command


class Holding:
    """One partition we own: its tasks, and its owner once it is ready."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.owner: asyncio.Future[Owner] = asyncio.get_running_loop().create_future()
        self.tasks: list[asyncio.Task[None]] = []
        self._early: list[Command] = []
        self._caught_up = asyncio.Event()

    def on_command(self, command: Command) -> None:
        """A command; before the owner is ready it waits here."""
        if self.owner.done() and not self.owner.cancelled():
            self.owner.result().wish(command)
        else:
            self._early.append(command)

    def on_caught_up(self) -> None:
        """All commands there were are here."""
        self._caught_up.set()

    def forget(self, task: "asyncio.Task[None]") -> None:
        """A task has ended."""
        if task in self.tasks:
            self.tasks.remove(task)

    async def hand_commands(self, owner: Owner) -> None:
        """Give the owner all commands there were; later ones wait for `open`."""
        await self._caught_up.wait()
        self._hand_early(owner)

    def open(self, owner: Owner) -> None:
        """From now on the owner takes batches and commands. Raises CancelledError: the partition was taken away."""
        if self.owner.cancelled():
            raise asyncio.CancelledError
        self._hand_early(owner)
        self.owner.set_result(owner)

    def _hand_early(self, owner: Owner) -> None:
        for command in self._early:
            owner.wish(command)
        self._early.clear()
