"""The id of the topic `events`: offsets mean something in one log only."""

import asyncio
import logging
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from shared.contracts.topics import EVENTS
from shared.runtime.kafka import topic_id

MAX_AGE_S = 10.0
_ANSWER_S = 1.0

_log = logging.getLogger(__name__)


class LogEpoch:
    """Asks Kafka when somebody wants to know, and again after a while: a topic may be deleted and made anew."""

    def __init__(self, bootstrap_servers: str) -> None:
        """Connects to nothing yet."""
        self._bootstrap_servers = bootstrap_servers
        self._known: str | None = None
        self._asked_at_s = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def now(self) -> str | None:
        """The epoch, at most some seconds old; None while Kafka has not told it."""
        if time.monotonic() - self._asked_at_s > MAX_AGE_S and self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        if self._known is None and self._asking is not None:
            await asyncio.wait((self._asking,), timeout=_ANSWER_S)
        return self._known

    async def _ask(self) -> None:
        try:
            self._known = await asyncio.to_thread(self._read)
            self._asked_at_s = time.monotonic()
        except KafkaException as fault:
            _log.warning("Kafka does not tell the id of the topic %s: %s", EVENTS, fault)
        finally:
            self._asking = None

    def _read(self) -> str:
        # a client that is kept would go on connecting, without a pause, to a broker that is gone
        return topic_id(AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 2}), EVENTS, _ANSWER_S)
