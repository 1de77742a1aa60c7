"""The table of the history, in a folder and in a bucket: each offset once, merges that change nothing, snapshots."""

import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from shared.domain.event import Event
from shared.history.address import HistoryAddress
from shared.history.errors import HistoryUnavailable
from shared.history.rows import Mark, Row, row_of
from shared.history.snapshot import HistoryReader, Snapshot
from shared.history.table import Conflict, Position, commit, create_table, open_table
from shared.history.upkeep import EQUAL_FILES, LARGE_ROWS, SMALL_FILES, SMALL_ROWS, File, Upkeep, worth_merging
from shared.history.writer import HistoryWriter, Moved, Stretch
from tests.support.history_check import rows_of

LOG = "a-log"
START_US = 1_790_000_000_000_000


def stretch(start: int, end: int, partition: int = 0) -> Stretch[Row, Mark]:
    """The rows of [start, end) but for every tenth, which was none."""
    rows = [
        row_of(1, Event(f"u{n % 7}", f"t{n % 3}", START_US + n, START_US + n, n, {"n": n}, f"id-{n}"), partition)
        for n in range(start, end)
        if n % 10
    ]
    return Stretch(start, Position(end, START_US + end), rows, [Mark(False, row.offset < 8) for row in rows])


@pytest.fixture
def reader(address: HistoryAddress) -> HistoryReader:
    """Of three partitions."""
    return HistoryReader(address, 3)


def offsets(snapshot: Snapshot) -> list[tuple[int, int]]:
    """Partition and offset of every row."""
    return sorted(rows_of(snapshot, "log_partition, log_offset"))


def expected(*ends: int) -> list[tuple[int, int]]:
    """What `offsets` gives when the partitions are archived so far."""
    return [(p, n) for p, end in enumerate(ends) for n in range(end) if n % 10]


def test_nothing_was_ever_archived(reader: HistoryReader) -> None:
    assert reader.snapshot(LOG) == Snapshot(-1, (), {}, {})


def test_a_snapshot_has_the_rows_up_to_its_numbers(address: HistoryAddress, reader: HistoryReader) -> None:
    writer = HistoryWriter(address, LOG)
    assert writer.append({0: stretch(0, 20), 1: stretch(0, 5, 1)}) == 22
    first = reader.snapshot(LOG)
    assert writer.append({1: stretch(5, 30, 1)}) == 23
    second = reader.snapshot(LOG)
    assert (offsets(first), first.next_offsets) == (expected(20, 5), {0: 20, 1: 5})
    assert (offsets(second), second.next_offsets) == (expected(20, 30), {0: 20, 1: 30})
    assert second.received_us == {0: START_US + 20, 1: START_US + 30}
    assert reader.snapshot(LOG) is second
    assert {"month=2026-09/makes_known=true", "month=2026-09/makes_known=false"} == {
        str(Path(file).parent.relative_to(reader.folder)) for file in second.files
    }
    # the same rows of another log are nobody's numbers
    assert reader.snapshot("another-log").next_offsets == {}


def test_a_range_without_rows_moves_the_number_on(address: HistoryAddress, reader: HistoryReader) -> None:
    writer = HistoryWriter(address, LOG)
    writer.append({0: stretch(0, 10)})
    assert writer.append({0: Stretch(10, Position(14, START_US + 14), [], [])}) == 0
    snapshot = reader.snapshot(LOG)
    assert (snapshot.next_offsets, snapshot.received_us) == ({0: 14}, {0: START_US + 14})
    assert offsets(snapshot) == expected(10)


def test_what_the_table_has_already_is_left_out(address: HistoryAddress, reader: HistoryReader) -> None:
    one, other = HistoryWriter(address, LOG), HistoryWriter(address, LOG)
    one.append({0: stretch(0, 20)})
    assert other.append({0: stretch(0, 20)}) == 0
    assert other.append({0: stretch(0, 50)}) == 27
    assert one.append({0: stretch(20, 60)}) == 9
    assert offsets(reader.snapshot(LOG)) == expected(60)


@pytest.mark.parametrize("elsewhere", [stretch(0, 10), stretch(30, 40)])
def test_a_stretch_that_does_not_meet_the_number_is_refused_whole(
    address: HistoryAddress, reader: HistoryReader, elsewhere: Stretch[Row, Mark]
) -> None:
    writer = HistoryWriter(address, LOG)
    writer.append({0: stretch(0, 20), 1: stretch(0, 20, 1)})
    with pytest.raises(Moved) as moved:
        writer.append({0: elsewhere, 1: stretch(20, 30, 1)})
    assert moved.value.partitions == [0]
    assert offsets(reader.snapshot(LOG)) == expected(20, 20)


def test_many_at_once_add_each_offset_once(address: HistoryAddress, reader: HistoryReader) -> None:
    """Each reads the whole log and adds it with borders of its own."""

    def archive(borders: Sequence[int]) -> None:
        writer = HistoryWriter(address, LOG)
        for start, end in itertools.pairwise(borders):
            try:
                writer.append({0: stretch(start, end)})
            except Moved:
                continue  # another one is further

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(archive, [range(0, 121, step) for step in (10, 12, 15, 20)]))
    assert offsets(reader.snapshot(LOG)) == expected(120)


def test_a_partition_is_taken_with_what_its_rows_say(address: HistoryAddress) -> None:
    writer = HistoryWriter(address, LOG)
    writer.append({0: stretch(0, 20), 1: stretch(0, 20, 1)})
    taken = HistoryWriter(address, LOG).take([0, 2], lambda: None)
    assert (taken[0].position, taken[2].position) == (Position(20, START_US + 20), None)
    again, new = stretch(11, 12).rows[0], stretch(91, 92).rows[0]._replace(user_id="u1", occurred_at=START_US + 1)
    assert taken[0].marks.mark([again, new]) == [Mark(True, False), Mark(False, False)]
    assert taken[2].marks.mark([again, new]) == [Mark(False, True), Mark(False, True)]


def test_merging_changes_no_row_and_sorts_them(address: HistoryAddress, reader: HistoryReader) -> None:
    writer = HistoryWriter(address, LOG)
    for start in range(0, SMALL_FILES * 10, 10):
        writer.append({0: stretch(start, start + 10)})
    before = reader.snapshot(LOG)
    rows = sorted(rows_of(before))
    assert Upkeep(address).run() == SMALL_FILES - 1
    after = reader.snapshot(LOG)
    assert len(after.files) == 2  # one of each place
    assert sorted(rows_of(after)) == rows
    assert after.next_offsets == before.next_offsets
    merged = tuple(file for file in after.files if "makes_known=false" in file)
    in_order = rows_of(msgspec.structs.replace(after, files=merged), "tenant, event_type, user_id")
    assert in_order == sorted(in_order)
    # a reader of the earlier version finds its files
    assert sorted(rows_of(before)) == rows
    assert Upkeep(address).run() == 0


def test_archiving_and_merging_go_on_beside_each_other(tmp_path: Path) -> None:
    address = HistoryAddress.of(str(tmp_path))
    writer, done = HistoryWriter(address, LOG), threading.Event()

    def merge() -> None:
        while not done.wait(0.05):
            Upkeep(address).run()

    with ThreadPoolExecutor(2) as pool:
        mergers = [pool.submit(merge) for _ in range(2)]
        for start in range(0, 20 * SMALL_FILES, 10):
            writer.append({0: stretch(start, start + 10)})
        done.set()
        for merger in mergers:
            merger.result()
    snapshot = HistoryReader(address, 1).snapshot(LOG)
    assert offsets(snapshot) == expected(20 * SMALL_FILES)
    assert len(snapshot.files) < 2 * SMALL_FILES


def test_commits_with_a_number_in_common_exclude_each_other(address: HistoryAddress) -> None:
    create_table(address)
    one, other = open_table(address), open_table(address)
    assert one is not None
    assert other is not None
    commit(one, [], {"x": 1})
    with pytest.raises(Conflict):
        commit(other, [], {"x": 1})


def test_a_history_that_cannot_be_read_is_told_of_with_its_place(tmp_path: Path) -> None:
    log = tmp_path / "events/_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{ no commit")
    address = HistoryAddress.of(str(tmp_path))
    with pytest.raises(HistoryUnavailable, match=f"history at {tmp_path}: .") as told:
        HistoryReader(address, 1).snapshot(LOG)
    assert "\n" not in str(told.value)
    with pytest.raises(HistoryUnavailable, match="history at"):
        HistoryWriter(address, LOG).append({0: stretch(0, 10)})


def test_vacuum_removes_what_is_nobodys_and_leaves_the_rest_readable(tmp_path: Path) -> None:
    address = HistoryAddress.of(str(tmp_path))
    writer = HistoryWriter(address, LOG)
    for start in range(0, SMALL_FILES * 10, 10):
        writer.append({0: stretch(start, start + 10)})
    reader = HistoryReader(address, 1)
    before = reader.snapshot(LOG)
    upkeep = Upkeep(address)
    upkeep.run()
    orphan = Path(before.files[0]).with_name("orphan.parquet")
    orphan.write_bytes(b"left by a crash")
    _make_older(orphan)
    upkeep.vacuum()
    assert not orphan.exists()
    # who began to read before the merge reads on
    assert offsets(before) == offsets(reader.snapshot(LOG)) == expected(SMALL_FILES * 10)


def test_the_log_of_the_table_does_not_grow_for_ever(tmp_path: Path) -> None:
    address = HistoryAddress.of(str(tmp_path))
    writer, log = HistoryWriter(address, LOG), tmp_path / "events/_delta_log"
    for start in range(0, 300, 10):
        writer.append({0: stretch(start, start + 10)})
    for file in log.iterdir():
        _make_older(file)
    for start in range(300, 600, 10):
        writer.append({0: stretch(start, start + 10)})
    assert len(list(log.glob("*.json"))) < 45  # of 61: those after the checkpoint that is old enough
    assert offsets(HistoryReader(address, 1).snapshot(LOG)) == expected(600)


def test_what_is_merged_is_small_or_alike() -> None:
    here, there = (("month", "2026-09"),), (("month", "2026-10"),)

    def files(count: int, rows: int, place: tuple[tuple[str, str], ...] = here) -> list[File]:
        return [File(f"{rows}-{n}", rows * 30, rows, place) for n in range(count)]

    few = files(SMALL_FILES - 1, 100)
    assert worth_merging([*few, *files(SMALL_FILES - 1, 100, there)]) == []
    assert len(worth_merging([*few, *files(1, 5)])) == SMALL_FILES
    assert worth_merging(files(1, SMALL_ROWS - 1)) == []
    assert len(worth_merging(files(5, SMALL_ROWS - 1))) == 5  # few, and enough rows for a file
    assert worth_merging(files(EQUAL_FILES - 1, SMALL_ROWS)) == []
    assert len(worth_merging(files(EQUAL_FILES, SMALL_ROWS))) == EQUAL_FILES
    assert worth_merging(files(100, LARGE_ROWS)) == []
    assert len(worth_merging(files(EQUAL_FILES, LARGE_ROWS - 1))) == 2


def _make_older(file: Path) -> None:
    """By three hours."""
    written = file.stat().st_mtime
    os.utime(file, (written - 10_800, written - 10_800))
