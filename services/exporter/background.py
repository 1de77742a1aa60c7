"""Loops that block, each in a thread of its own beside the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

_ENDING_S = 20

Work = Callable[[threading.Event], None]
"""Returns soon after the event is set."""


class Background:
    """Threads that live until `stop`; they do not hold up the end of the process."""

    def __init__(self, on_fault: Callable[[], None]) -> None:
        """`on_fault` is called in the event loop when a loop ends by an exception, which `stop` raises then."""
        self._on_fault = on_fault
        self._stopped = threading.Event()
        self._ends: list[asyncio.Future[None]] = []

    def start(self, name: str, work: Work) -> None:
        """Let it run from now on."""
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        self._ends.append(end)

        def ended(fault: BaseException | None) -> None:
            if fault is None:
                end.set_result(None)
            else:
                end.set_exception(fault)
                self._on_fault()

        def run() -> None:
            fault: BaseException | None = None
            try:
                work(self._stopped)
            except BaseException as raised:  # noqa: BLE001 - it is raised in the event loop
                fault = raised
            with contextlib.suppress(RuntimeError):  # the event loop may be gone
                loop.call_soon_threadsafe(ended, fault)

        threading.Thread(target=run, name=name, daemon=True).start()

    async def stop(self) -> None:
        """Tell all to end and wait for it, at most 20 s. Raises what a loop raised."""
        self._stopped.set()
        done, _ = await asyncio.wait(self._ends, timeout=_ENDING_S) if self._ends else (set(), set())
        for end in done:
            end.result()
