"""Producing with acknowledgement: what was sent is in Kafka when `send` returns."""

import asyncio
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.exporter.requests import Outgoing

DELIVERY_TIMEOUT_MS = 5_000


class NotDelivered(Exception):  # noqa: N818 - it names the thing
    """Retry: at least one message was not acknowledged. Those that were, stay sent."""


class Delivery:
    """Sends batches through a producer that is made when first needed and made anew after a failure."""

    def __init__(self, new_producer: Callable[[], Producer]) -> None:
        """`new_producer` gives one whose delivery timeout is `DELIVERY_TIMEOUT_MS`."""
        self._new_producer = new_producer
        self._producer: Producer | None = None

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Produce all and wait for every acknowledgement. Raises NotDelivered with the first cause."""
        producer = self._producer = self._producer or self._new_producer()
        faults: list[str] = []

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                faults.append(error.str())

        try:
            for m in messages:
                producer.produce(m.topic, m.value, m.key, headers=m.headers, on_delivery=on_delivery)  # type: ignore[arg-type]
            left = await asyncio.to_thread(producer.flush, 2 * DELIVERY_TIMEOUT_MS / 1000)
        except (KafkaException, BufferError) as error:
            self._producer = None
            raise NotDelivered(str(error)) from error
        if faults or left:
            # an idempotent producer may be broken for good after a failure
            self._producer = None
            raise NotDelivered(faults[0] if faults else f"{left} messages without an answer")
