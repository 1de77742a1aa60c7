"""One attempt, to receivers that are not what they should be: it ends in time, and takes little."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network

from services.api.webhooks.client import Answer, WebhookClient
from services.api.webhooks.destinations import Destinations
from shared.runtime.clock import SystemClock
from tests.support.receiver import HOST, NETWORK

TIMEOUT_S = 1.0
CLIENT = WebhookClient(Destinations([ip_network(NETWORK)]), SystemClock(), TIMEOUT_S)
Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.asynccontextmanager
async def answering(write: Write) -> AsyncIterator[str]:
    """The address of a receiver that reads a request's head, and then does this."""

    handling: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.append(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await write(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(handle, HOST, 0) as server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
        await asyncio.gather(*(task for task in handling if task))


async def attempt(url: str) -> Answer:
    """One attempt, which must not take long."""
    began_s = time.monotonic()
    answer = await CLIENT.post(url, "0123456789abcdef", "msg_1", '{"a":1}')
    assert time.monotonic() < began_s + 3 * TIMEOUT_S
    return answer


async def endless(writer: asyncio.StreamWriter, begin: bytes, more: bytes) -> None:
    writer.write(begin)
    while True:
        writer.write(more)
        await writer.drain()


async def test_a_body_that_does_not_end_is_not_read() -> None:
    async with answering(lambda to: endless(to, OK + b"\r\n", b"x" * 65_536)) as url:
        assert await attempt(url) == Answer(200, None)


async def test_headers_that_do_not_end_are_refused() -> None:
    async with answering(lambda to: endless(to, OK, b"x-more: " + b"x" * 100 + b"\r\n")) as url:
        answer = await attempt(url)
    assert (answer.status, answer.is_taken) == (None, False)


async def test_a_header_line_that_does_not_end_is_refused() -> None:
    async with answering(lambda to: endless(to, OK + b"x-long: ", b"x" * 65_536)) as url:
        answer = await attempt(url)
    assert (answer.status, answer.is_taken) == (None, False)


async def test_an_answer_that_drips_is_not_waited_for() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in OK * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(TIMEOUT_S / 20)

    async with answering(drip) as url:
        assert await attempt(url) == Answer(None, "no answer in time")


async def test_what_is_no_http_and_nobody_who_listens_are_errors() -> None:
    async def other(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with answering(other) as url:
        answer = await attempt(url)
    assert (answer.status, bool(answer.error)) == (None, True)
    answer = await attempt(url)  # the server is closed
    assert (answer.status, bool(answer.error)) == (None, True)


async def test_redirects_are_not_followed() -> None:
    asked = []

    async def elsewhere(writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    async with answering(elsewhere) as url:
        assert await attempt(url) == Answer(307, "answered 307, redirects are not followed")
    assert len(asked) == 1
