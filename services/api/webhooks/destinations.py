"""Where webhooks may lead: public addresses over https, and the networks that the settings exempt.

A name is looked up twice, when a webhook is saved and whenever one is sent, and may have another address by then. The
first look is for a clear answer to whoever saves it; the second one, at the socket, is the one that holds.
"""

import asyncio
import errno
import re
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""Of one address, as getaddrinfo tells it."""

MAX_URL_LENGTH = 2_000
_LOOK_UP_S = 3.0
_PORTS = {"https": 443, "http": 80}
_NOT_IN_A_URL = re.compile(r"[^\x21-\x5b\x5d-\x7e]")
"""Space, control characters, the backslash and all beyond ASCII: what readers of URLs disagree about."""
_IS_NUMBER = re.compile(r"^(\d+|0x[\da-f]*)$", re.IGNORECASE)

_PUBLIC_IPV6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NOT_PUBLIC = [
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # for protocols
        "192.88.99.0/24",  # was the way to 6to4
        "2001::/23",  # for protocols, Teredo among them
        "2002::/16",  # 6to4: leads on to any IPv4 address
        "3fff::/20",  # for documentation; younger than the list of ipaddress
    )
]


class Refused(OSError):  # noqa: N818 - it names the thing
    """Reject: nothing is sent to this address. `strerror` says which, and why."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EACCES, text)


class Destinations:
    """Decides about URLs and addresses."""

    def __init__(self, exempt: Sequence[Network]) -> None:
        """`exempt`: networks to which webhooks may lead although they are not public, and over http too."""
        self._exempt = tuple(exempt)

    async def fault(self, url: str) -> str | None:
        """Why a webhook must not lead there, None if it may: its form, and all addresses that its host has now."""
        if fault := _fault_of_form(url):
            return fault
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            port = parts.port or _PORTS[parts.scheme]
            async with asyncio.timeout(_LOOK_UP_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return f"the host {host} has no address"
        try:
            for _, _, _, _, (address, *_) in found:
                self.refuse(parts.scheme, str(address))
        except Refused as refused:
            return refused.strerror
        return None

    def refuse(self, scheme: str, address: str) -> None:
        """Raises Refused if nothing may be sent to this address over `scheme`."""
        reached = _reached(ip_address(address))
        if any(reached in network for network in self._exempt):
            return
        if not _is_public(reached):
            raise Refused(f"{address} is not a public address")
        if scheme != "https":
            raise Refused(f"{address} may be reached over https only")

    def sockets(self, scheme: str) -> Callable[[AddrInfo], socket.socket]:
        """Makes the sockets of a client, and none that would connect to where nothing may be sent."""

        def made(info: AddrInfo) -> socket.socket:
            family, kind, protocol, _, (address, *_) = info
            self.refuse(scheme, str(address))
            return socket.socket(family, kind, protocol)

        return made


def _fault_of_form(url: str) -> str | None:
    if len(url) > MAX_URL_LENGTH:
        return f"must have at most {MAX_URL_LENGTH} characters"
    if _NOT_IN_A_URL.search(url):
        return "must have only the characters of a URL: ASCII without spaces and backslashes"
    try:
        parts = urlsplit(url)
        is_complete = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "is not a URL"
    if not is_complete:
        return "must be a URL like https://example.com/path"
    return _fault_of_parts(parts)


def _fault_of_parts(parts: SplitResult) -> str | None:
    if "@" in parts.netloc:
        return "must not hold a user name or a password"
    host = parts.hostname or ""
    # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 for some who read them, and a name for others
    last = host.rstrip(".").rpartition(".")[2]
    if ":" not in host and _IS_NUMBER.match(last) and not _is_ipv4(host):
        return f"the address {host} must be written as four decimal numbers"
    return None


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _reached(address: Address) -> Address:
    """The address that packets come to in the end: the one inside those that stand for an IPv4 address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address


def _is_public(address: Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    return address.is_global and not address.is_multicast
