"""The table of changes, in a folder and in a bucket: one order, whoever gives the positions."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.history.address import HistoryAddress
from shared.history.schema import CHANGES, FEED
from shared.history.snapshot import HistoryReader
from shared.history.upkeep import SMALL_FILES, Upkeep
from shared.history.writer import ChangeWriter
from tests.support.archived_changes import change, change_stretch
from tests.support.history_check import rows_of

LOG = "a-log"


@pytest.fixture
def changes(address: HistoryAddress) -> HistoryAddress:
    return replace(address, schema=CHANGES)


def test_writers_without_a_partition_in_common_give_no_position_twice(changes: HistoryAddress) -> None:
    together = threading.Barrier(2)

    def archive(partition: int) -> int:
        writer, added = ChangeWriter(changes, LOG), 0
        sent = [change(f"u{partition}-{n % 3}", n // 3 + 1) for n in range(30)]
        for start in range(0, 30, 3):
            together.wait()
            added += writer.append({partition: change_stretch(sent[start : start + 3], start, partition)})
        return added

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(archive, range(2))) == [30, 30]
    reader = HistoryReader(changes, 2)
    snapshot = reader.snapshot(LOG)
    rows = sorted(rows_of(snapshot, "position, log_partition, log_offset"))
    assert [position for position, _, _ in rows] == list(range(1, 61))
    assert snapshot.numbers[FEED] == 60
    for partition in range(2):
        assert [offset for _, of, offset in rows if of == partition] == list(range(30))


def test_a_partition_is_taken_with_what_its_changes_say(changes: HistoryAddress) -> None:
    sent = [change("ada", 1), change("ada", 2), change("bob", 1)]
    ChangeWriter(changes, LOG).append({0: change_stretch(sent, 0)})
    again = [*sent, change("ada", 3), change("bob", 1, generation=1), change("bob", 2, generation=1)]
    rows = change_stretch(again, 3).rows
    taken = ChangeWriter(changes, LOG).take([0, 1], lambda: None)
    assert taken[0].marks.mark(rows) == [False, False, False, True, False, True]
    assert taken[1].marks.mark(rows) == [True, True, True, True, False, True]


def test_merging_keeps_every_position_and_sorts_by_segment(changes: HistoryAddress) -> None:
    writer = ChangeWriter(changes, LOG)
    for start in range(0, SMALL_FILES * 4, 4):
        sent = [change(f"u{n}", 1, segment_id=3 - n % 3) for n in range(start, start + 4)]
        writer.append({0: change_stretch(sent, start)})
    reader = HistoryReader(changes, 1)
    before = sorted(rows_of(reader.snapshot(LOG)))
    assert Upkeep(changes).run() == SMALL_FILES - 1
    after = reader.snapshot(LOG)
    assert len(after.files) == 1
    assert sorted(rows_of(after)) == before
    assert after.numbers == {FEED: SMALL_FILES * 4, "lost_until": 0}
    in_order = rows_of(after, "tenant, segment_id, position")
    assert in_order == sorted(in_order)
