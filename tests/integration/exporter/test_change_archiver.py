"""Membership changes become history on real Kafka: each once and in one order, whoever dies or archives too."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from shared.contracts.change import Change
from shared.contracts.topics import MEMBERSHIP_CHANGES
from shared.history.address import HistoryAddress
from shared.history.schema import CHANGES, FEED, LOST_UNTIL
from shared.runtime.clock import SystemClock
from tests.support.archived_changes import change, send_changes
from tests.support.changes_check import change_differences
from tests.support.clean_servers import delete_records
from tests.support.evaluators import ExporterProcess, metric, wait_for
from tests.support.history_check import is_complete, rows_of, snapshot_of
from tests.support.stream import Stream

NewExporter = Callable[..., ExporterProcess]
WITHIN_S = 40
USERS = 13


@pytest.fixture
def changes(address: HistoryAddress) -> HistoryAddress:
    """The table of changes of this test."""
    return replace(address, schema=CHANGES)


def turns(first: int, count: int) -> list[Change]:
    """Turns of a few users in two segments, as they follow each other."""
    return [
        change(f"user-{n % USERS}", n // (2 * USERS) + 1, segment_id=1 + n // USERS % 2)
        for n in range(first, first + count)
    ]


def is_archived(stream: Stream, changes: HistoryAddress) -> bool:
    return is_complete(stream, snapshot_of(stream, changes), CHANGES)


def await_archived(stream: Stream, changes: HistoryAddress) -> None:
    """Wait until all changes are history, and see that they are right."""
    wait_for(lambda: is_archived(stream, changes), WITHIN_S, "all changes are archived")
    assert change_differences(stream, snapshot_of(stream, changes)) == []


def test_repeats_and_what_comes_late_are_archived_once(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter
) -> None:
    new_exporter().await_ready()
    send_changes(stream.bootstrap, turns(0, 200))
    await_archived(stream, changes)
    # a new owner sends again what the old one may not have; the old one sends late; then it goes on
    send_changes(stream.bootstrap, [*turns(150, 100), *turns(180, 30), *turns(250, 50)])
    await_archived(stream, changes)
    assert len(rows_of(snapshot_of(stream, changes))) == 300


def test_a_state_made_anew_tells_the_past_again_and_changes_still_alternate(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter
) -> None:
    new_exporter().await_ready()
    send_changes(stream.bootstrap, [change("ada", 1), change("bob", 1), change("bob", 2)])
    again = [change(user, n, generation=7) for user in ("ada", "bob") for n in (1, 2, 3)]
    send_changes(stream.bootstrap, again)
    await_archived(stream, changes)
    rows = sorted(rows_of(snapshot_of(stream, changes), "position, user_id, change"))
    entered, exited = "entered", "exited"
    assert [kind for _, user, kind in rows if user == "ada"] == [entered, exited, entered]
    assert [kind for _, user, kind in rows if user == "bob"] == [entered, exited, entered, exited, entered]


@pytest.mark.parametrize("crash_at", ["after_data_file:2", "after_delta_commit:2"])
def test_killed_beside_a_commit(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter, crash_at: str
) -> None:
    exporter = new_exporter(environ={"SHOAL_EXPORTER_CRASH_AT": crash_at})
    send_changes(stream.bootstrap, turns(0, 100))
    wait_for(lambda: snapshot_of(stream, changes).numbers.get(FEED), WITHIN_S, "some are archived")
    send_changes(stream.bootstrap, turns(100, 100))
    assert exporter.await_exit(WITHIN_S) == -signal.SIGKILL
    send_changes(stream.bootstrap, turns(150, 150))
    new_exporter()
    await_archived(stream, changes)


def test_two_archivers_that_own_the_same(stream: Stream, changes: HistoryAddress, new_exporter: NewExporter) -> None:
    """Two groups, each with all partitions: what a zombie and its successor are at their worst."""
    both = [
        new_exporter(environ={"SHOAL_EXPORTER_CHANGES_GROUP": group, "SHOAL_EXPORTER_CHANGES_INTERVAL_S": interval})
        for group, interval in (("one", "0.05"), ("two", "0.07"))
    ]
    for exporter in both:
        exporter.await_ready()
    for part in range(20):
        send_changes(stream.bootstrap, turns(part * 50, 70))
    await_archived(stream, changes)
    assert [exporter.stop() for exporter in both] == [0, 0]
    assert change_differences(stream, snapshot_of(stream, changes)) == []


def test_two_archivers_that_share_the_partitions(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter
) -> None:
    """No partition in common, and one order all the same."""
    both = [new_exporter(environ={"SHOAL_EXPORTER_CHANGES_INTERVAL_S": "0.05"}) for _ in range(2)]
    for exporter in both:
        exporter.await_ready()

    def added() -> list[float]:
        return [metric(each, 'shoal_exporter_archived_rows_total{table="changes"}') for each in both]

    sent = 0
    while sent < 600 or not all(added()):
        send_changes(stream.bootstrap, turns(sent, 50))
        sent += 50
    await_archived(stream, changes)


def test_without_changes_nothing_is_committed(
    stream: Stream, changes: HistoryAddress, address: HistoryAddress, new_exporter: NewExporter
) -> None:
    exporter = new_exporter().await_ready()
    send_changes(stream.bootstrap, turns(0, 30))
    await_archived(stream, changes)
    version = snapshot_of(stream, changes).version
    for number in range(5):
        stream.send("ada", "order_placed", {"n": number})
        stream.flush()
        wait_for(lambda: is_complete(stream, snapshot_of(stream, address)), WITHIN_S, "the event is archived")
    assert exporter.readiness()["changes"] == "ok"
    assert snapshot_of(stream, changes).version == version


def test_what_is_no_change_is_passed_over(stream: Stream, changes: HistoryAddress, new_exporter: NewExporter) -> None:
    exporter = new_exporter().await_ready()
    for value in (None, b"", b"{", b'{"id": "1:u:0:1"}', b'"\xff"'):
        stream.producer.produce(MEMBERSHIP_CHANGES, value, b"1\0u", 0)
    stream.flush()
    send_changes(stream.bootstrap, turns(0, 30))
    wait_for(lambda: is_archived(stream, changes), WITHIN_S, "all changes are archived")
    assert len(rows_of(snapshot_of(stream, changes))) == 30
    assert metric(exporter, "shoal_exporter_archive_passed_over_total") == 5


def test_a_change_of_a_newer_shape_is_waited_for(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter
) -> None:
    exporter = new_exporter().await_ready()
    send_changes(stream.bootstrap, [msgspec.structs.replace(change("ada", 1), schema_version=2)])
    told = "offset 0 of partition"
    wait_for(lambda: told in exporter.readiness().get("changes", ""), WITHIN_S, "the fault is told")
    assert "bring the exporter up to date" in exporter.readiness()["changes"]
    assert rows_of(snapshot_of(stream, changes)) == []


def send_and_lose(stream: Stream, sent: Sequence[Change], *, all_but: int) -> None:
    """Send changes, and let the broker forget all but the last few of each partition."""
    send_changes(stream.bootstrap, sent)
    ends = stream.end_offsets(MEMBERSHIP_CHANGES)
    delete_records(stream.bootstrap, MEMBERSHIP_CHANGES, {p: end - all_but for p, end in ends.items()})


def test_changes_that_are_lost_are_told_of_and_when_accepted_noted(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter
) -> None:
    exporter = new_exporter().await_ready()
    send_changes(stream.bootstrap, turns(0, 100))
    await_archived(stream, changes)
    assert snapshot_of(stream, changes).numbers[LOST_UNTIL] == 0
    exporter.stop()
    send_and_lose(stream, turns(100, 100), all_but=1)
    began_us = SystemClock().now_us()
    exporter = new_exporter()
    wait_for(lambda: "they are lost" in exporter.readiness().get("changes", ""), WITHIN_S, "the loss is told")
    exporter.stop()
    new_exporter(environ={"SHOAL_EXPORTER_ACCEPT_LOST_EVENTS": "true"})
    wait_for(lambda: is_archived(stream, changes), WITHIN_S, "what is left is archived")
    assert began_us < snapshot_of(stream, changes).numbers[LOST_UNTIL] < SystemClock().now_us()


@pytest.mark.parametrize("left", [0, 1])
def test_an_installation_that_was_not_archived_from_its_first_change_knows_it(
    stream: Stream, changes: HistoryAddress, new_exporter: NewExporter, left: int
) -> None:
    """Nothing needs to be accepted: whoever brings an old installation up to date has lost nothing that was kept."""
    send_and_lose(stream, turns(0, 100), all_but=left)
    new_exporter()
    wait_for(lambda: is_archived(stream, changes), WITHIN_S, "what is left is archived")
    snapshot = snapshot_of(stream, changes)
    assert snapshot.numbers[LOST_UNTIL] > 0
    assert snapshot.numbers[FEED] == left * stream.partitions
