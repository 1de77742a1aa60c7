"""Each fault of the proxy, between a plain client and a server that answers what it hears."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.local.ports import HOST
from tests.support.evaluators import wait_for
from tests.support.tcp_proxy import TcpProxy

PATIENCE_S = 10
SILENCE_S = 0.3
"""So long nothing must come."""


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while heard := self.request.recv(65_536):
                self.request.sendall(heard)
        except ConnectionError:
            return


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    with socketserver.ThreadingTCPServer((HOST, 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with TcpProxy(HOST, server.server_address[1]) as proxy:
                yield proxy
        finally:
            server.shutdown()
            thread.join()


def client(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), PATIENCE_S)


def ask(connection: socket.socket, text: bytes) -> bytes:
    """What comes back, once it is as long as what was sent."""
    connection.sendall(text)
    heard = b""
    while len(heard) < len(text):
        piece = connection.recv(65_536)
        assert piece, "closed"
        heard += piece
    return heard


def hears_nothing(connection: socket.socket) -> bool:
    connection.settimeout(SILENCE_S)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(PATIENCE_S)
    return False


def test_everything_passes_both_ways_and_is_counted(proxy: TcpProxy) -> None:
    text = bytes(range(256)) * 4_096
    with client(proxy) as one, client(proxy) as other:
        sender = threading.Thread(target=one.sendall, args=(text,))
        sender.start()  # beside the reading: a megabyte is more than the buffers on the way hold
        heard = b""
        while len(heard) < len(text):
            heard += one.recv(65_536)
        sender.join()
        assert heard == text
        assert ask(other, b"x") == b"x"
        assert (proxy.accepted, proxy.open_links) == (2, 2)
    wait_for(lambda: proxy.open_links == 0, PATIENCE_S, "the proxy closes what its clients closed")
    assert proxy.forwarded == 2 * (len(text) + 1)


def test_an_end_in_one_direction_is_passed_on_and_the_answer_still_comes(proxy: TcpProxy) -> None:
    with client(proxy) as connection:
        connection.sendall(b"the last")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"the last"
        assert connection.recv(100) == b""


def test_delay(proxy: TcpProxy) -> None:
    with client(proxy) as connection:
        proxy.set_delay(0.2)
        began_s = time.monotonic()
        assert ask(connection, b"slow") == b"slow"
        assert time.monotonic() - began_s >= 0.4
        proxy.set_delay(60)
        connection.sendall(b"later")
        assert hears_nothing(connection)
        proxy.set_pass()  # what was held back comes at once
        assert connection.recv(100) == b"later"


def test_throttle(proxy: TcpProxy) -> None:
    with client(proxy) as connection:
        proxy.set_throttle(10_000)
        began_s = time.monotonic()
        assert ask(connection, b"x" * 5_000) == b"x" * 5_000
        assert 0.45 <= time.monotonic() - began_s < PATIENCE_S
        connection.sendall(b"y" * 60_000)
        proxy.set_pass()
        rest = b""
        while len(rest) < 60_000:
            rest += connection.recv(65_536)
        assert rest == b"y" * 60_000


def test_a_stall_swallows_and_closes_nothing_and_ends_with_a_reset_of_what_lost_bytes(proxy: TcpProxy) -> None:
    with client(proxy) as lossy, client(proxy) as quiet:
        assert ask(lossy, b"1") + ask(quiet, b"1") == b"11"
        proxy.set_stall()
        lossy.sendall(b"lost")
        with client(proxy) as new:
            new.sendall(b"lost too")
            assert hears_nothing(lossy)
            assert hears_nothing(new)
            assert proxy.open_links == 3
            proxy.set_pass()
            for broken in (lossy, new):
                with pytest.raises(ConnectionResetError):
                    broken.recv(1)
        assert ask(quiet, b"2") == b"2"
        with client(proxy) as fresh:
            assert ask(fresh, b"3") == b"3"


def test_a_stall_hides_the_end_of_a_connection_from_the_other_side(proxy: TcpProxy) -> None:
    leaving = client(proxy)
    assert ask(leaving, b"1") == b"1"
    proxy.set_stall()
    leaving.close()
    with client(proxy) as other:
        assert hears_nothing(other)
        assert proxy.open_links == 2
    proxy.set_pass()
    wait_for(lambda: proxy.open_links == 0, PATIENCE_S, "both sides are ended after the stall")


def test_lost_connections_stay_silent_while_new_ones_are_served(proxy: TcpProxy) -> None:
    with client(proxy) as old:
        assert ask(old, b"1") == b"1"
        proxy.lose_connections()
        old.sendall(b"lost")
        assert hears_nothing(old)
        with client(proxy) as new:
            assert ask(new, b"2") == b"2"
            proxy.set_pass()
            assert ask(new, b"3") == b"3"
        with pytest.raises(ConnectionResetError):
            old.recv(1)


def test_reset(proxy: TcpProxy) -> None:
    with client(proxy) as old:
        assert ask(old, b"1") == b"1"
        proxy.set_reset()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
        with pytest.raises(ConnectionResetError), client(proxy) as new:
            new.recv(1)
        proxy.set_pass()
        with client(proxy) as new:
            assert ask(new, b"2") == b"2"


def test_broken_answers_are_those_to_what_arrived(proxy: TcpProxy) -> None:
    with client(proxy) as old:
        assert ask(old, b"1") == b"1"
        proxy.set_break_answers()
        before = proxy.forwarded
        old.sendall(b"22")
        with pytest.raises(ConnectionResetError):
            old.recv(1)
        assert proxy.forwarded == before + 2
        proxy.set_pass()
        with client(proxy) as new:
            assert ask(new, b"3") == b"3"


def test_drop(proxy: TcpProxy) -> None:
    with client(proxy) as old:
        assert ask(old, b"1") == b"1"
        proxy.drop()
        assert old.recv(1) == b""
        with client(proxy) as new:
            assert ask(new, b"2") == b"2"


def test_a_target_that_is_not_there_is_a_reset() -> None:
    with socket.create_server((HOST, 0)) as gone:
        port = gone.getsockname()[1]
    with TcpProxy(HOST, port) as proxy, pytest.raises(ConnectionResetError), client(proxy) as connection:
        connection.recv(1)


def test_it_ends_whatever_is_under_way() -> None:
    with socket.create_server((HOST, 0)) as silent, TcpProxy(HOST, silent.getsockname()[1]) as proxy:
        proxy.set_delay(60)
        held = client(proxy)
        held.sendall(b"x" * 200_000)
        wait_for(lambda: proxy.open_links == 1, PATIENCE_S, "the connection is forwarded")
    with held, pytest.raises(ConnectionResetError):
        held.recv(1)
    assert proxy.open_links == 0
