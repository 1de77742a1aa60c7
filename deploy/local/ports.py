"""Ports on the loopback interface: the fixed ones of an installation, and free ones for tests."""

import random
import socket

from deploy.local.errors import LocalRunError

DEFAULT_BASE = 7400
OFFSETS = {
    "api": 0,
    "evaluator": 1,
    "exporter": 2,
    "kafka": 3,
    "kafka-controller": 4,
    "valkey": 5,
    "postgres": 6,
}
HOST = "127.0.0.1"

_FIRST_TEST_PORT = 20_000
_LAST_TEST_PORT = 31_999
"""Below the range from which systems take the ports of outgoing connections."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as the servers do: connections of a stopped server in their last minute are no hindrance
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody listens on this port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def require_free(ports: dict[str, int], base: int) -> None:
    """Check that every port can be used.

    Raises:
        LocalRunError: names the first port in use, who wanted it, and what to set.
    """
    for name, port in ports.items():
        if not is_free(port):
            raise LocalRunError(
                f"Port {port} ({name}) is in use: free it, or set SHOAL_PORT_BASE to another number than {base}"
                f" ({len(OFFSETS)} ports from there on are used)."
            )


def free_ports(count: int) -> list[int]:
    """Different ports that are free now, at random so that two test runs rarely meet."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randint(_FIRST_TEST_PORT, _LAST_TEST_PORT)  # noqa: S311 - no secret # nosec B311
        if is_free(port):
            found.add(port)
    return list(found)
