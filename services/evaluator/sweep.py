"""The clock of a worker: reads the wall clock and the ends of the partitions, and lets the owners look."""

import asyncio
import logging
from collections.abc import Callable

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from services.evaluator.assignment import Assignment
from services.evaluator.clock_watch import ClockWatch
from services.evaluator.owner import IDLE_WRITE_US, Horizon
from shared.contracts.topics import EVENTS

log = logging.getLogger(__name__)
_ANSWER_S = 1.5


class Sweep:
    """Every interval: which partitions need the time, and how far must each have been read for it to count."""

    def __init__(self, assignment: Assignment, consumer: Consumer, clock: ClockWatch, interval_s: float) -> None:
        """`consumer` is asked for the ends, and reads nothing."""
        self._assignment, self._consumer, self._clock, self._interval_s = assignment, consumer, clock, interval_s
        self._told_at_us: dict[int, int] = {}
        self.fault: str | None = None
        """Why Kafka could not be asked at the last look, or None."""
        self._unknown: KafkaException | None = None
        """Why some ends could not be had at the last look."""

    async def run(self, beat: Callable[[], None]) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            beat()
            try:
                await self._look()
            except KafkaException as error:
                self.fault = f"does not answer: {error.args[0].str()}"
                log.warning("the ends of the partitions are not known: %s", error)
            await asyncio.sleep(max(0.0, self._interval_s - (loop.time() - started)))

    async def _look(self) -> None:
        # The clock is read before the ends are asked for: whatever was received earlier lies below them.
        now_us = self._clock.now_us()
        is_trusted = self._clock.fault is None
        owners = {
            owner.table.partition: owner
            for owner in self._assignment.owners()
            if owner.table.first_wake() <= now_us
            or abs(now_us - self._told_at_us.get(owner.table.partition, 0)) >= IDLE_WRITE_US
        }
        if not owners:
            return
        ends = await asyncio.get_running_loop().run_in_executor(None, self._end_offsets, list(owners))
        self.fault = None if ends else f"does not answer: {self._unknown}"
        for partition, end_offset in ends.items():
            self._told_at_us[partition] = now_us
            owners[partition].look(Horizon(now_us, end_offset, is_trusted))

    def _end_offsets(self, partitions: list[int]) -> dict[int, int]:
        """Those that could be had; the others are asked for again at the next look."""
        if self._unknown:
            # A broker that was restarted refuses the leader's epoch remembered here, and one that is gone is asked
            # in vain; asking for the topic renews both.
            self._consumer.list_topics(EVENTS, timeout=_ANSWER_S)
        found, self._unknown = {}, None
        try:
            # Not of an admin client: it connects without a pause to a broker that is gone, some 18,000 times a second.
            wanted = [TopicPartition(EVENTS, partition, OFFSET_END) for partition in partitions]
            for place in self._consumer.offsets_for_times(wanted, timeout=_ANSWER_S):
                if place.error is None and place.offset >= 0:
                    found[place.partition] = place.offset
                else:
                    silent = KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - that is its public spelling
                    self._unknown = KafkaException(place.error or silent)
        except KafkaException as error:
            self._unknown = error
        if self._unknown is not None:
            log.warning("the ends of %d partitions are not known: %s", len(partitions) - len(found), self._unknown)
        return found
