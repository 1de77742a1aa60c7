"""The event history as an evaluator reads it: how far it goes, what aggregates it makes, what events it holds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from duckdb import DuckDBPyConnection, InterruptException

from services.evaluator.records import RecordBatch
from services.evaluator.recovery import LogRecord
from shared.history.engine import Engine
from shared.history.errors import HistoryUnavailable
from shared.history.partials import Found, partials_of
from shared.history.replay import replayed
from shared.history.snapshot import HistoryReader, Snapshot
from shared.history.want import Want


class History:
    """What is archived of the log that has this epoch."""

    def __init__(self, reader: HistoryReader, engine: Engine, log_epoch: str) -> None:
        self._reader, self._engine, self._log_epoch = reader, engine, log_epoch
        self._sessions: set[DuckDBPyConnection] = set()
        self._is_closed = False

    def snapshot(self) -> Snapshot:
        """The history as it is now. Raises HistoryUnavailable."""
        return self._reader.snapshot(self._log_epoch)

    def next_offset(self, partition: int) -> int:
        """Every event of the partition below it is archived. Raises HistoryUnavailable."""
        return self.snapshot().next_offsets.get(partition, 0)

    def partials(self, snapshot: Snapshot, tenant: int, wants: Sequence[Want], as_of_us: int) -> Iterator[list[Found]]:
        """As `partials_of`. Raises HistoryUnavailable, HistoryBroken, HistoryOverloaded."""
        with self._session(snapshot) as session:
            yield from partials_of(session, tenant, self._log_epoch, wants, as_of_us)

    def replay(self, partition: int, start: int, end: int) -> Iterator[RecordBatch]:
        """The events in `[start, end)` as batches of the log that follow each other without a gap."""
        with self._session(self.snapshot()) as session:
            for events in replayed(session, self._log_epoch, partition, start, end):
                records = [LogRecord(event.offset, event.received_ms, event.key, event.value) for event in events]
                yield RecordBatch(partition, start, next_offset := records[-1].offset + 1, records)
                start = next_offset
        yield RecordBatch(partition, start, end, [])  # what lies below is no event that counts

    def close(self) -> None:
        """End what is being read, from any thread: it raises HistoryUnavailable where it is used."""
        self._is_closed = True
        for session in list(self._sessions):
            session.interrupt()

    @contextmanager
    def _session(self, snapshot: Snapshot) -> Iterator[DuckDBPyConnection]:
        with self._engine.session(snapshot.files) as session:
            self._sessions.add(session)
            try:
                if self._is_closed:
                    raise HistoryUnavailable("the worker ends")
                yield session
            except InterruptException as interrupted:
                raise HistoryUnavailable("the worker ends") from interrupted
            finally:
                self._sessions.discard(session)
