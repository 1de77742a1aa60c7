"""Connections of Faust's client on which nothing comes any more, though nobody closed them."""

import asyncio
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import RequestTimedOutError


def limit_answers(client: Any, limit_s: float) -> None:
    """Give a connection up on which an answer is overdue: it may be half open.

    aiokafka has one limit for all requests, and that must be as long as the group may take to join.
    """
    send = client.send

    async def send_within(node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if type(request).__name__.startswith(("JoinGroup", "SyncGroup")):
            return await send(node_id, request, group=group)
        try:
            async with asyncio.timeout(limit_s):
                return await send(node_id, request, group=group)
        except TimeoutError:
            connection = client._conns.get((node_id, group))  # noqa: SLF001 - as aiokafka does at its own limit
            if connection is not None:
                connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise RequestTimedOutError from None

    client.send = send_within
