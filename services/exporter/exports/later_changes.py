"""What `membership-changes` says of an instant that its newest changes have passed."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from shared.contracts.change import Change, decode_change
from shared.contracts.topics import MEMBERSHIP_CHANGES

_AT_ONCE = 5_000
_POLL_S = 0.2
_SILENT = 150
"""So many polls without a message, where there are some, are an outage."""
_ANSWER_S = 10
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - that is its public spelling


class _Known(NamedTuple):
    """What one change says: of a turn up to the instant, or of a later one."""

    is_later: bool
    order: tuple[int, int]
    entered_at: int | None


def memberships_at(changes: Iterable[Change], as_of: int) -> dict[str, int | None]:
    """Of each user of these changes of one segment: when the user entered, or None for who was not in it at `as_of`.

    Both in microseconds since 1970. The last change up to the instant says it; where there is none among them, the
    first one later, because what it turned had been so before. Repeats say nothing new.
    """
    known: dict[str, _Known] = {}
    for change in changes:
        is_later = change.at_us > as_of
        # an exit ends a membership, an entry begins one
        is_member = (change.change == "exited") is is_later
        # older evaluators do not say when what ends had begun: then it was at the latest now
        began = change.at_us if not is_later else change.entered_at_us or as_of
        says = _Known(is_later, (change.generation, change.sequence), began if is_member else None)
        before = known.get(change.user_id)
        if before is None or _tells_more(says, before):
            known[change.user_id] = says
    return {user_id: says.entered_at for user_id, says in known.items()}


def _tells_more(says: _Known, before: _Known) -> bool:
    if says.is_later is not before.is_later:
        return before.is_later
    return says.order < before.order if says.is_later else says.order > before.order


class ChangeLog:
    """The topic of the changes; for one thread. Raises KafkaException anywhere."""

    def __init__(self, bootstrap_servers: str, partitions: int) -> None:
        """Connects when it is first asked."""
        self._partitions = range(partitions)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "shoal-exports",  # one is demanded, none is joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "fetch.queue.backoff.ms": 5,  # else it rests for a second whenever its queue is full
                "queued.max.messages.kbytes": 16_384,
                "socket.timeout.ms": 10_000,
                "log_level": 3,
            }
        )

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def ends(self) -> list[int]:
        """The next offset of each partition."""
        places = (TopicPartition(MEMBERSHIP_CHANGES, partition) for partition in self._partitions)
        return [self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S)[1] for place in places]

    def read(self, partition: int, start: int, end: int) -> Iterator[Change | None]:
        """The changes in [start, end) of a partition; None now and then, while none comes."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(MEMBERSHIP_CHANGES, partition, start)])
        next_offset, silent = start, 0
        while next_offset < end:
            messages = self._consumer.consume(_AT_ONCE, _POLL_S)
            if not messages:
                silent += 1
                if silent > _SILENT:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - as above
                yield None
            for message in messages:
                error, offset = message.error(), message.offset() or 0
                if error is None:
                    if offset < end:
                        yield decode_change(message.value() or b"")
                    next_offset = max(next_offset, offset + 1)
                elif error.code() == _EOF:
                    # the last offsets may be marks of transactions, which are no messages
                    next_offset = max(next_offset, offset)
                else:
                    raise KafkaException(error)
        self._consumer.unassign()
