"""SQL of the outbox: messages for Kafka, written with the change they tell of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.tables import outbox, segments

CHANNEL = "shoal_outbox"
"""Of LISTEN / NOTIFY: tells the relay that rows are waiting."""


class OutboxRow(NamedTuple):
    """One message; `message` is its JSON without the outbox id."""

    id: int
    topic: str
    key: int
    message: dict[str, Any]


class OutboxRepository:
    """The outbox within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, topic: str, key: int, message: dict[str, Any]) -> int:
        """Store a message and wake the relay at the commit; returns the row's id.

        Ids of one key ascend with the commits only if the caller holds the lock of the row that the key names.
        """
        result = await self._connection.execute(
            insert(outbox).values(topic=topic, key=key, message=message).returning(outbox.c.id)
        )
        await self._connection.execute(text(f"notify {CHANNEL}"))
        return int(result.scalar_one())

    async def unsent(self, limit: int) -> list[OutboxRow]:
        """The oldest rows not sent yet, in the order of their ids."""
        query = _rows().where(outbox.c.sent_at.is_(None)).order_by(outbox.c.id).limit(limit)
        return [OutboxRow(*row) for row in await self._connection.execute(query)]

    async def unsent_since_s(self) -> float:
        """Age of the oldest row not sent yet, in seconds; 0 when there is none."""
        age = func.extract("epoch", func.now() - func.min(outbox.c.created_at))
        result = await self._connection.execute(select(age).where(outbox.c.sent_at.is_(None)))
        return float(result.scalar() or 0)

    async def last_wishes(self, after: int, limit: int) -> list[OutboxRow]:
        """The last command of each segment, deleted ones included, with ids above `after`, ascending."""
        wishes = select(segments.c.wish_id).where(segments.c.wish_id.is_not(None))
        query = _rows().where(outbox.c.id.in_(wishes), outbox.c.id > after).order_by(outbox.c.id).limit(limit)
        return [OutboxRow(*row) for row in await self._connection.execute(query)]

    async def mark_sent(self, ids: Sequence[int]) -> None:
        """The broker has acknowledged these rows."""
        await self._connection.execute(
            update(outbox).where(outbox.c.id.in_(ids), outbox.c.sent_at.is_(None)).values(sent_at=func.now())
        )


def _rows() -> Any:
    return select(outbox.c.id, outbox.c.topic, outbox.c.key, outbox.c.message)
