"""Kafka behind a proxy of ours: a second listener, whose advertised address is the proxy's.

Clients ask any broker for the addresses of all and connect to those, so a proxy before the first connection alone
would see nothing of what follows. Whoever begins at the proxy's port is told the proxy's port again.
"""

from deploy.local.ports import HOST
from tests.support.tcp_proxy import TcpProxy


def proxied_listener(port: int, controller_port: int, proxy: TcpProxy) -> dict[str, str]:
    """Settings for `deploy.local.kafka.Kafka` on these ports; it listens on the target of the proxy too.

    The plain address of the broker stays: what must not suffer (a test's own clients) uses that.
    """
    return {
        "listeners": f"PLAINTEXT://{HOST}:{port},PROXIED://{HOST}:{proxy.target_port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port},PROXIED://{HOST}:{proxy.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
