"""A second way to Redis, for whoever is given its environment."""

import contextlib
from collections.abc import Iterator

from deploy.local.ports import HOST
from tests.fault.world import World
from tests.support.tcp_proxy import TcpProxy


@contextlib.contextmanager
def redis_proxy(world: World) -> Iterator[tuple[TcpProxy, dict[str, str]]]:
    """The proxy, and the setting of a service that is to reach Redis through it."""
    address = world.addresses.redis_url
    port = int(address.rsplit(":", 1)[1].split("/")[0])
    with TcpProxy(HOST, port) as proxy:
        yield proxy, {"SHOAL_REDIS_URL": address.replace(f":{port}/", f":{proxy.port}/")}
