"""Faust's shell, changed so that an agent gets whole record batches and offsets are committed exactly.

Stock Faust costs some 200 us of CPU an event. Here one Faust message carries all records of one fetch of one
partition, so its cost is paid per fetch; and an offset is committed only when every batch before it is done and
`BatchApp.before_commit` has made its effects durable. `docs/decisions/0002-faust-in-batches.md` has the reasons.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import faust
from aiokafka.consumer import fetcher
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from services.evaluator.half_open import limit_answers
from services.evaluator.records import RecordBatch

FETCH_MAX_WAIT_MS = 50
"""How long the broker may hold back an answer that has no records yet; Faust would ask for 1,500."""
BATCH_RECORDS = 2_000
"""A batch is closed when it has so many records (a producer's own batch is never split)."""
LEAST_ANSWER_S = 3.0
"""So long at least the broker may take for an answer; half the session timeout when that is more."""
GATE_POLL_S = 0.02


class BatchPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka publishes no types
    """Hands out the client's own records, one list per batch of a producer, instead of wrapping each."""

    next_fetch_offset: int

    def _unpack_records(self) -> Any:
        if self._tp.topic not in BatchApp.batch_topics:
            return super()._unpack_records()
        return self._unpack_chunks()

    def _unpack_chunks(self) -> Any:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise fetcher.Errors.CorruptRecordException(f"Invalid CRC - {self._tp}")
            aborted = self._is_aborted(batch)
            chunk = [] if aborted or batch.is_control_batch else list(batch)
            if chunk and chunk[0].offset < self.next_fetch_offset:  # a fetch may begin inside a producer's batch
                chunk = [record for record in chunk if record.offset >= self.next_fetch_offset]
            self.next_fetch_offset = batch.next_offset
            yield chunk

    def _is_aborted(self, batch: Any) -> bool:
        """Keeps the list of aborted transactions as aiokafka does for read_committed."""
        if batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return bool(batch.is_transactional) and batch.producer_id in self._aborted_producers


class BatchFetchResult(fetcher.FetchResult):  # type: ignore[misc] # aiokafka publishes no types
    """Returns one RecordBatch where aiokafka returns a list of records."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        tp = self._topic_partition
        if tp.topic not in BatchApp.batch_topics:
            records: list[Any] = super().getall(max_records)
            return records
        if not self.check_assignment(tp) or not self.has_more():
            return []
        unread = self._partition_records
        start, drained = unread.next_fetch_offset, []
        for chunk in unread:
            drained += chunk
            if len(drained) >= BATCH_RECORDS:
                self._update_position()
                break
        else:
            self._update_position()
            self._partition_records = None
        if unread.next_fetch_offset == start:
            return []
        return [RecordBatch(tp.partition, start, unread.next_fetch_offset, drained)]


class BatchSchema(faust.Schema[Any, Any]):
    """The value is the batch: Faust's codecs have nothing to decode."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """A batch has no key."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002 - Faust's signature
        return message.value


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Sets what Faust hard-codes: a short fetch wait, and only committed messages."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001 - Faust passes no such option
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - the same
        limit_answers(consumer._client, max(LEAST_ANSWER_S, self.app.conf.broker_session_timeout / 2))  # noqa: SLF001
        return consumer


class BatchConsumer(driver.Consumer):
    """Knows which batches were delivered, in order, and commits up to the end of the oldest run of finished ones."""

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: dict[Any, deque[int]] = {}  # partition -> last offsets, oldest first
        self._deliver, self.callback = self.callback, self._deliver_tracked

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        # The gate: when a rebalance ends Faust clears every stream queue, and what was delivered before is lost.
        if self.app.rebalancing and self.app.gate_closed_while_rebalancing:
            await self.sleep(GATE_POLL_S)
            return {}
        return await super()._getmany(active_partitions, timeout)

    def _to_message(self, tp: Any, record: Any) -> Any:
        if not isinstance(record, RecordBatch):
            return super()._to_message(tp, record)
        offset = record.next_offset - 1
        timestamp_s = record.records[-1].timestamp / 1000 if record.records else 0.0
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            offset,
            timestamp_s,
            1,
            None,
            None,
            record,  # type: ignore[arg-type] # Faust expects bytes; our schema passes it on
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _deliver_tracked(self, message: Any) -> None:
        self._delivered.setdefault(message.tp, deque()).append(message.offset)
        await self._deliver(message)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Nothing: batches say themselves what they cover, and Faust's gaps commit past unfinished ones."""

    def _new_offset(self, tp: Any) -> int | None:
        acked, delivered = self._acked_index[tp], self._delivered.get(tp)
        committed = self._committed_offset[tp] or 0
        done = None
        # A head below the committed offset was delivered twice; Faust ignores its acknowledgement.
        while delivered and (delivered[0] in acked or delivered[0] < committed):
            done = delivered.popleft()
        if done is None:
            return None
        self._acked[tp][:] = [offset for offset in self._acked[tp] if offset > done]
        self._acked_index[tp] = set(self._acked[tp])
        return done + 1 if done >= committed else None

    async def _commit_tps(self, tps: Any, start_new_transaction: bool) -> bool:
        self.app.on_commit(begins=True)
        try:
            return bool(await super()._commit_tps(tps, start_new_transaction))
        finally:
            self.app.on_commit(begins=False)

    async def _handle_attached(self, commit_offsets: Mapping[Any, int]) -> None:
        await self.app.before_commit({tp.partition: offset for tp, offset in commit_offsets.items()})
        await super()._handle_attached(commit_offsets)

    async def perform_seek(self) -> None:
        self._forget()
        await super().perform_seek()
        self._forget()  # what was delivered while the seek ran

    async def on_partitions_revoked(self, revoked: Any) -> None:
        # before Faust's own: it begins by forgetting what was acknowledged, and there would be nothing to commit
        await self.app.finish()
        await super().on_partitions_revoked(revoked)
        self._forget()

    def unfinished_commits(self) -> list[int]:
        """The last offsets of batches that are done but not committed."""
        return [offset for offsets in self._acked.values() for offset in offsets]

    def _forget(self) -> None:
        self._delivered.clear()
        self._acked.clear()
        self._acked_index.clear()


class NoTables(TableManager):
    """Of an app without tables: Faust's own waits a second for tables that may come, and the group waits with it."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class BatchTransport(driver.Transport):
    """Registers the consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):
    """A Faust app whose agents get record batches; subclasses fill in the hooks."""

    batch_topics: frozenset[str] = frozenset()
    gate_closed_while_rebalancing = True

    def batch_topic(self, name: str, **options: Any) -> Any:
        """A topic whose messages are RecordBatches. aiokafka's classes are replaced for such topics only."""
        BatchApp.batch_topics |= {name}
        fetcher.PartitionRecords, fetcher.FetchResult = BatchPartitionRecords, BatchFetchResult
        return self.topic(name, schema=BatchSchema(), **options)

    async def before_commit(self, offsets: dict[int, int]) -> None:
        """Make everything below these offsets (by partition) durable; raising prevents the commit."""

    def on_commit(self, *, begins: bool) -> None:
        """A commit begins, or has ended."""

    async def before_revoke(self) -> None:
        """All partitions are about to be taken away: finish what can be finished quickly."""

    async def after_revoke(self) -> None:
        """Another worker may own any partition from now on: nothing kept of them is valid."""

    async def after_assign(self, partitions: frozenset[int]) -> None:
        """These partitions of the batch topic are now ours, none of what was kept before is valid."""

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """None: Faust would make folders for tables that we do not have, wherever the process was started."""

    async def finish(self) -> None:
        """The partitions are about to be taken away: begin nothing more, finish and commit what is under way."""
        if self.should_stop or not self.consumer.assignment():
            return
        # Faust stops the flow too; here it must stop before we wait for what is under way
        self.consumer.stop_flow()
        self.flow_control.suspend()
        self.flow_control.clear()
        await self.before_revoke()
        await self.commit_all()

    async def commit_all(self) -> None:
        """Commit all that is done by now: `commit` alone does nothing while another commit is under way."""
        consumer = cast("BatchConsumer", self.consumer)
        await consumer.maybe_wait_for_commit_to_finish()
        await consumer.commit()

    async def _on_partitions_revoked(self, revoked: Any) -> None:
        await super()._on_partitions_revoked(revoked)
        await self.after_revoke()

    async def _on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        if not self.should_stop:
            mine = frozenset(tp.partition for tp in assigned if tp.topic in BatchApp.batch_topics)
            await self.after_assign(mine)
        await super()._on_partitions_assigned(assigned, generation_id)

    async def join(self) -> None:
        """Start the worker inside the running loop, without Faust's own command line and signal handlers."""
        self.finalize()
        await self.start()
