"""A TCP proxy whose faults are switched while it runs: slow, silent, broken connections between two programs."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, NamedTuple, Self

from deploy.local.ports import HOST

_CHUNK = 65_536
_PIECES_PER_S = 10
_PATIENCE_S = 10
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Fault(NamedTuple):
    """What happens to bytes: in pieces of this size, each after this pause, or to nowhere."""

    piece: int = _CHUNK
    pause_s: float = 0
    swallows: bool = False
    refuses: bool = False
    breaks_answers: bool = False


class _Link:
    """A client's connection and the one to the target that belongs to it."""

    def __init__(self, to_client: asyncio.StreamWriter, to_target: asyncio.StreamWriter) -> None:
        self.to_client, self._sides = to_client, (to_client, to_target)
        self.has_lost_bytes = False

    def reset(self) -> None:
        """End both connections with RST."""
        for side in self._sides:
            _reset(side)

    def close(self) -> None:
        """End both connections with FIN, as a program that ends in order."""
        for side in self._sides:
            side.close()


class TcpProxy:
    """Listens on `port` and forwards to the target, both directions alike; a context manager.

    The faults hold for the connections there are and for new ones, until the next `set_...`.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        """Nothing is connected before a client comes, so the target may start later, end and start again."""
        self._target_host, self.target_port = target_host, target_port
        # made here: the address is known before anything runs
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self.accepted = 0
        """Connections taken so far."""
        self.forwarded = 0
        """Bytes handed on so far."""
        self._links: set[_Link] = set()
        self._fault = _Fault()
        self._switched = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="tcp-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(_PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()

    # --- faults ----------------------------------------------------------------------------------------------

    def set_pass(self) -> None:
        """Forward everything. Connections that lost bytes are reset: what follows would make no sense."""
        self._set(_Fault())

    def set_delay(self, seconds: float) -> None:
        """Each piece that is read (64 KiB at most) goes on so much later."""
        self._set(_Fault(pause_s=seconds))

    def set_throttle(self, bytes_per_s: int) -> None:
        """So many bytes a second in each direction of each connection."""
        piece = max(1, bytes_per_s // _PIECES_PER_S)
        self._set(_Fault(piece=piece, pause_s=piece / bytes_per_s))

    def set_stall(self) -> None:
        """Swallow all bytes, and the ends of connections too: neither side hears anything, nothing is closed."""
        self._set(_Fault(swallows=True))

    def set_reset(self) -> None:
        """RST to all, and to whoever connects."""
        self._set(_Fault(refuses=True))

    def set_break_answers(self) -> None:
        """What clients send arrives; instead of an answer they get RST."""
        self._set(_Fault(breaks_answers=True))

    def lose_connections(self) -> None:
        """Stall the connections there are for good, until `set_pass`; new ones are served as before.

        So it is when a firewall forgets them: both ends believe in a connection that is none.
        """

        async def lose_all() -> None:
            for link in self._links:
                link.has_lost_bytes = True

        self._in_loop(lose_all())

    def drop(self) -> None:
        """Close the connections there are, in order; no lasting fault: new ones are served as before."""

        async def close_all() -> None:
            for link in self._links:
                link.close()

        self._in_loop(close_all())

    @property
    def open_links(self) -> int:
        """Connections that are forwarded now."""
        return len(self._links)

    def _set(self, fault: _Fault) -> None:
        async def switch() -> None:
            self._fault = fault
            self._switched.set()
            self._switched = asyncio.Event()
            if not fault.swallows:
                self._reset_links(only_lossy=not fault.refuses)

        self._in_loop(switch())

    def _reset_links(self, *, only_lossy: bool) -> None:
        for link in self._links:
            if link.has_lost_bytes or not only_lossy:
                link.reset()

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    # --- the thread ------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with asyncio.TaskGroup() as self._connections:
            server = await asyncio.start_server(self._accept, sock=self._listening)
            self._started.set()
            await self._stop.wait()
            server.close()
            self._fault = _Fault(refuses=True)  # for a client accepted just now
            self._switched.set()
            self._reset_links(only_lossy=False)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._connections.create_task(self._link(reader, writer))

    async def _link(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_target, to_target = await asyncio.open_connection(self._target_host, self.target_port)
        except OSError:  # the target is not there: the client is told so as far as a proxy can
            _reset(to_client)
            return
        link = _Link(to_client, to_target)
        self._links.add(link)
        if self._fault.refuses:
            link.reset()
        await asyncio.gather(self._pump(link, from_client, to_target), self._pump(link, from_target, to_client))
        if link.has_lost_bytes and self._fault.swallows:  # half open: the other side is told nothing yet
            await self._until_switched()
            link.reset()
        link.close()
        self._links.discard(link)

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._forward(link, data, writer)
            if self._fault.swallows:
                link.has_lost_bytes = True
            elif not link.has_lost_bytes:
                writer.write_eof()
        except OSError:
            if self._fault.swallows:
                link.has_lost_bytes = True
            else:
                link.reset()

    async def _forward(self, link: _Link, data: bytes, writer: asyncio.StreamWriter) -> None:
        while data:
            fault = self._fault
            if fault.pause_s and await self._until_switched(fault.pause_s):
                continue  # another fault holds for the rest
            if fault.swallows or link.has_lost_bytes:
                link.has_lost_bytes = True
                return
            if fault.breaks_answers and writer is link.to_client:
                link.reset()
                return
            piece, data = data[: fault.piece], data[fault.piece :]
            writer.write(piece)
            await writer.drain()
            self.forwarded += len(piece)

    async def _until_switched(self, within_s: float | None = None) -> bool:
        """Wait for another fault; False when none came in time."""
        try:
            await asyncio.wait_for(self._switched.wait(), within_s)
        except TimeoutError:
            return False
        return True


def _reset(side: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # closed already
        connection: socket.socket = side.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    side.transport.abort()
