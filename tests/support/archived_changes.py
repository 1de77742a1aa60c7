"""Membership changes of tests: on Kafka as the evaluator sends them, and as rows of the history."""

from collections.abc import Iterable, Sequence

from shared.contracts.change import Change, ChangeKind, Reason, change_id, encode_change
from shared.contracts.keys import user_key
from shared.contracts.topics import MEMBERSHIP_CHANGES, MIB
from shared.history.address import HistoryAddress
from shared.history.change_index import ChangeIndex
from shared.history.change_rows import ChangeRow, change_row_of
from shared.history.schema import CHANGES
from shared.history.table import Position
from shared.history.writer import ChangeWriter, Stretch
from shared.runtime.kafka import new_producer
from tests.support.stream import TENANT

START_US = 1_790_000_000_000_000


def change(
    user_id: str, sequence: int, *, segment_id: int = 1, tenant: int = TENANT, generation: int = 0, at_us: int = 0
) -> Change:
    """The change of a membership with this number: odd ones are entries."""
    kind: ChangeKind = "entered" if sequence % 2 else "exited"
    reason: Reason = "event" if sequence % 2 else "time"
    return Change(
        id=change_id(segment_id, user_id, generation, sequence),
        tenant=tenant,
        segment_id=segment_id,
        version=1,
        user_id=user_id,
        change=kind,
        at_us=at_us or START_US + sequence,
        reason=reason,
        generation=generation,
        sequence=sequence,
    )


def send_changes(bootstrap_servers: str, changes: Iterable[Change]) -> None:
    """Send them, acknowledged, to the partitions of their users."""
    producer = new_producer(bootstrap_servers, MIB)
    for each in changes:
        producer.produce(MEMBERSHIP_CHANGES, encode_change(each), user_key(each.tenant, each.user_id))
        producer.poll(0)
    assert producer.flush(60) == 0


def change_stretch(changes: Sequence[Change], start: int, partition: int = 0) -> Stretch[ChangeRow, bool]:
    """These changes as what was read of a partition from an offset on, none of them a repeat of an earlier one."""
    rows = [change_row_of(each, partition, start + n, START_US + start + n) for n, each in enumerate(changes)]
    with ChangeIndex() as index:
        end = Position(start + len(rows), START_US + start + len(rows))
        return Stretch(start, end, rows, index.mark(rows))


def archive_changes(history: str, changes: Sequence[Change], start: int = 0, partition: int = 0) -> int:
    """Archive changes as those of a partition from an offset on; how many it was."""
    writer = ChangeWriter(HistoryAddress.of(history, CHANGES), "log")
    return writer.append({partition: change_stretch(changes, start, partition)})
