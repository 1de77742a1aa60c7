"""Work that blocks, in threads beside the event loop; they do not hold up the end of the process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_ENDING_S = 20

T = TypeVar("T")

Work = Callable[[threading.Event], None]
"""Returns soon after the event is set."""


def in_thread(name: str, work: Callable[[], T]) -> "asyncio.Future[T]":
    """The result of some work, or what it raises, which a thread of its own begins now."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[T] = loop.create_future()

    def tell(set_end: Callable[[], None]) -> None:
        if not end.done():  # nobody waits for it any more
            set_end()

    def run() -> None:
        try:
            result = work()
        except BaseException as fault:  # noqa: BLE001 - it is raised in the event loop
            set_end = partial(end.set_exception, fault)
        else:
            set_end = partial(end.set_result, result)
        with contextlib.suppress(RuntimeError):  # the event loop may be gone
            loop.call_soon_threadsafe(tell, set_end)

    threading.Thread(target=run, name=name, daemon=True).start()
    return end


class Background:
    """Loops that live until `stop`."""

    def __init__(self, on_fault: Callable[[], None]) -> None:
        """`on_fault` is called in the event loop when a loop ends by an exception, which `stop` raises then."""
        self._on_fault = on_fault
        self._stopped = threading.Event()
        self._ends: list[asyncio.Future[None]] = []

    def start(self, name: str, work: Work) -> None:
        """Let it run from now on."""
        end = in_thread(name, lambda: work(self._stopped))
        end.add_done_callback(self._ended)
        self._ends.append(end)

    def _ended(self, end: "asyncio.Future[None]") -> None:
        if end.exception() is not None:
            self._on_fault()

    async def stop(self) -> None:
        """Tell all to end and wait for it, at most 20 s. Raises what a loop raised."""
        self._stopped.set()
        done, _ = await asyncio.wait(self._ends, timeout=_ENDING_S) if self._ends else (set(), set())
        for end in done:
            end.result()
