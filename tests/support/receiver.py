"""A receiver of webhooks: an HTTP server of a thread, on an address of this machine that nothing else listens on."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from segops_admin.webhook import verify_webhook

from tests.support.evaluators import wait_for

HOST = "127.0.0.42"
NETWORK = f"{HOST}/32"
"""What the settings exempt, so that webhooks may lead to a receiver."""


class Received(NamedTuple):
    """One request, its headers by their names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed(self, secret: str) -> bool:
        """As the official client looks at it."""
        return verify_webhook(self.body, self.headers.get("x-segops-signature"), secret)


Answering = Callable[[Received], int]
"""The status that a request is answered with."""


class Receiver:
    """What has come in, oldest first."""

    def __init__(self, url: str, answering: Answering) -> None:
        self.url = url
        self.answering = answering
        self.received: list[Received] = []

    def await_received(self, count: int, within_s: float = 30) -> list[Received]:
        """The requests, as soon as there are so many."""
        wait_for(lambda: len(self.received) >= count, within_s, f"{count} requests at the receiver")
        return self.received


@contextlib.contextmanager
def receiver(answering: Answering = lambda _: 200) -> Iterator[Receiver]:
    """Listen until the end of the block."""
    server = _Server((HOST, 0), _Handler)
    server.receiver = Receiver(f"http://{HOST}:{server.server_address[1]}/hook", answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="receiver")
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.receiver.received.append(received)
        status = self.server.receiver.answering(received)
        with contextlib.suppress(OSError):  # the sender has left, or was killed
            self.send_response(status)
            if status in range(300, 400):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""
