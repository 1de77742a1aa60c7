"""Where webhooks may lead: every spelling of an address that is not public is refused."""

import asyncio
import socket
from ipaddress import ip_network

import pytest

from services.api.webhooks.destinations import Destinations, Refused

NOWHERE = Destinations([])
EXEMPT = Destinations([ip_network("127.0.0.42/32"), ip_network("fd00:1::/32")])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.0.0.42", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="is not a public address"):
        NOWHERE.refuse("https", address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "::ffff:1.1.1.1", "64:ff9b::101:101", "2606:4700::1"])
def test_a_public_address_is_reached_over_https_only(address: str) -> None:
    NOWHERE.refuse("https", address)
    with pytest.raises(Refused, match="over https only"):
        NOWHERE.refuse("http", address)


def test_networks_of_the_settings_are_exempt() -> None:
    for address in ("127.0.0.42", "::ffff:127.0.0.42", "64:ff9b::7f00:2a", "fd00:1::5"):
        EXEMPT.refuse("http", address)
        EXEMPT.refuse("https", address)
    for address in ("127.0.0.1", "fd00:2::5"):
        with pytest.raises(Refused):
            EXEMPT.refuse("https", address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://127.0.0.1/", "127.0.0.1 is not a public address"),
        ("https://169.254.169.254/latest/", "169.254.169.254 is not a public address"),
        ("https://[::1]/", "::1 is not a public address"),
        ("https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1 is not a public address"),
        ("https://[64:ff9b::7f00:1]:8443/", "64:ff9b::7f00:1 is not a public address"),
        ("https://localhost/", "is not a public address"),
        ("https://LOCALHOST/", "is not a public address"),
        ("https://2130706433/", "must be written as four decimal numbers"),
        ("https://0x7f000001/", "must be written as four decimal numbers"),
        ("https://0x7f.1/", "must be written as four decimal numbers"),
        ("https://0177.0.0.1/", "must be written as four decimal numbers"),
        ("https://127.1/", "must be written as four decimal numbers"),
        ("https://1.1.1.1.5/", "must be written as four decimal numbers"),
        ("http://1.1.1.1/", "over https only"),
        ("https://no-such-host.invalid/", "has no address"),
        ("https://" + "a" * 64 + ".example/", "has no address"),
        ("https://example.com:99999/", "is not a URL"),
        ("https://example.com:0/", "must be a URL like"),
        ("https://[::1/", "is not a URL"),
        ("https:///path", "must be a URL like"),
        ("ftp://example.com/", "must be a URL like"),
        ("example.com", "must be a URL like"),
        ("javascript:alert(1)", "must be a URL like"),
        ("https://user:word@example.com/", "must not hold a user name"),
        ("https://user@example.com/", "must not hold a user name"),
        ("https://example.com\\@127.0.0.1/", "only the characters of a URL"),
        ("https://exa mple.com/", "only the characters of a URL"),
        ("https://example.com/\r\nX: y", "only the characters of a URL"),
        ("https://ⓔxample.com/", "only the characters of a URL"),
        ("https://example.com/" + "a" * 2000, "at most 2000 characters"),
    ],
)
async def test_a_url_is_refused_and_it_is_said_why(url: str, said: str) -> None:
    assert said in (await NOWHERE.fault(url) or "")


async def test_a_url_of_a_public_address_is_taken() -> None:
    for url in ("https://1.1.1.1/hook?a=b", "https://1.1.1.1:8443", "HTTPS://1.1.1.1/", "https://[2606:4700::1]/"):
        assert await NOWHERE.fault(url) is None
    assert await EXEMPT.fault("http://127.0.0.42:8000/hook") is None


async def test_all_addresses_of_a_name_must_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[object]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("1.1.1.1", 443)), (*kind, ("10.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert await NOWHERE.fault("https://example.com/") == "10.0.0.1 is not a public address"


async def test_a_name_that_takes_long_to_look_up_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("services.api.webhooks.destinations._LOOK_UP_S", 0.01)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    assert "has no address" in (await NOWHERE.fault("https://example.com/") or "")


def test_no_socket_is_made_for_what_is_refused() -> None:
    make = EXEMPT.sockets("http")
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    make((*info, ("127.0.0.42", 80))).close()
    with pytest.raises(Refused):
        make((*info, ("127.0.0.1", 80)))
