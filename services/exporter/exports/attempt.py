"""One attempt at a set of members that is of one instant, although memberships change all the time.

Where the log of changes ends -> the instant -> the members in Redis, partition by partition, once Redis and the log
have come to the instant -> wait until the log has all that was seen -> where it ends now. Whoever changed between the
two ends was at the instant what the log says; of everybody else Redis says nothing that was not so all the time.
"""

from collections.abc import Iterator

import pyarrow as pa
from redis import Redis

from services.exporter.exports.course import Course
from services.exporter.exports.later_changes import ChangeLog, memberships_at
from services.exporter.exports.members import DataLost, PartitionMembers
from services.exporter.exports.rows import rows_of, without
from services.exporter.exports.spool import Spool
from shared.contracts.change import Change
from shared.contracts.export_request import ExportRequest
from shared.runtime.clock import Clock


class Attempt:
    """The members of a segment at `as_of`, in microseconds since 1970. Raises redis.RedisError, KafkaException."""

    def __init__(
        self, request: ExportRequest, redis: Redis, changes: ChangeLog, partitions: int, clock: Clock, course: Course
    ) -> None:
        """Fixes the instant."""
        self._request, self._changes, self._course = request, changes, course
        self._parts = [
            PartitionMembers(redis, partition, request.tenant, request.segment_id) for partition in range(partitions)
        ]
        # the order matters: whatever is sent before these ends is of a turn that some clock has passed
        self._starts = changes.ends()
        self.as_of = max(clock.now_us(), *(part.clock() for part in self._parts))

    def gather(self, spool: Spool) -> None:
        """Put the members that Redis knows into the spool. Raises Abandoned, ExportFailed, OSError."""
        for part in self._parts:
            self._take(part, spool)
        for part in self._parts:
            while not self._is_certain(part):
                self._take(part, spool)
        self._ends = self._changes.ends()
        spool.end()

    def rows(self, spool: Spool) -> Iterator[pa.RecordBatch]:
        """The members, each once. Raises Abandoned, OSError."""
        for part in self._parts:
            turned = memberships_at(self._changes_of(part.partition), self.as_of)
            users = pa.array(turned, pa.string())
            for batch in spool.rows(part.partition):
                self._course.go_on()
                yield without(batch, users)
            yield rows_of({user_id: entered_at for user_id, entered_at in turned.items() if entered_at is not None})

    def _take(self, part: PartitionMembers, spool: Spool) -> None:
        """Walk through a partition until that succeeds."""
        while True:
            spool.forget(part.partition)
            part.begin()
            self._course.wait(lambda: part.lack(self.as_of))
            try:
                for batch in part.walk(self.as_of):
                    spool.put(part.partition, batch)
                    self._course.go_on(len(batch))
            except DataLost:
                self._course.go_on()
            else:
                return

    def _is_certain(self, part: PartitionMembers) -> bool:
        """Wait until the log has all that a walk has seen; False when Redis has lost it meanwhile."""
        try:
            self._course.wait(lambda: part.lack(self.as_of))
        except DataLost:
            return False
        return True

    def _changes_of(self, partition: int) -> Iterator[Change]:
        wanted = self._request.tenant, self._request.segment_id
        for change in self._changes.read(partition, self._starts[partition], self._ends[partition]):
            if change is None:
                self._course.go_on()
            elif (change.tenant, change.segment_id) == wanted:
                yield change
