"""Events become history exactly once on real Kafka: across kills, zombies, replays and two archivers at once."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from deploy.local.ports import HOST
from shared.contracts.keys import user_key
from shared.contracts.topics import EVENTS
from shared.history.address import HistoryAddress
from shared.history.snapshot import HistoryReader
from shared.runtime.kafka import producer_config
from tests.support.archived import archive_log
from tests.support.clean_servers import delete_records
from tests.support.evaluators import ExporterProcess, metric, wait_for
from tests.support.history_check import differences, is_complete, log_epoch_of, rows_of, snapshot_of
from tests.support.poison import POISON
from tests.support.s3_server import S3Server
from tests.support.stream import TENANT, Stream
from tests.support.tcp_proxy import TcpProxy

NewExporter = Callable[..., ExporterProcess]
WITHIN_S = 40


def send(stream: Stream, count: int, first: int = 0) -> None:
    """Events of few users; every fourth has an id that comes again, every fifth is late."""
    for number in range(first, first + count):
        fields: dict[str, Any] = {"event_id": f"id-{number % 40}"} if number % 4 == 0 else {}
        late: dict[str, Any] = {"occurred_at": f"2026-01-{1 + number % 28:02d}"} if number % 5 == 0 else {}
        stream.send(f"user-{number % 13}", "order_placed", {"total": number / 7}, **fields, **late)
    stream.flush()


def await_archived(stream: Stream, address: HistoryAddress) -> None:
    """Wait until all of the log is history, and see that it is right."""
    wait_for(lambda: is_complete(stream, snapshot_of(stream, address)), WITHIN_S, "all events are archived")
    assert differences(stream, snapshot_of(stream, address)) == []


def test_events_are_history_soon_and_once(stream: Stream, address: HistoryAddress, new_exporter: NewExporter) -> None:
    exporter = new_exporter().await_ready()
    send(stream, 500)
    await_archived(stream, address)
    send(stream, 500, first=500)
    await_archived(stream, address)
    assert exporter.stop() == 0
    snapshot = snapshot_of(stream, address)
    assert len(rows_of(snapshot)) == 1000
    assert min(snapshot.received_us.values()) > 0


def test_killed_between_data_file_and_commit(
    stream: Stream, address: HistoryAddress, new_exporter: NewExporter
) -> None:
    send(stream, 300)
    exporter = new_exporter(environ={"SHOAL_EXPORTER_CRASH_AT": "after_data_file:1"})
    assert exporter.await_exit(WITHIN_S) == -signal.SIGKILL
    left = set(map(str, Path(address.table.uri).rglob("*.parquet")))
    assert left
    send(stream, 300, first=300)
    new_exporter()
    await_archived(stream, address)
    # what was written and not committed is there and part of nothing
    assert left.isdisjoint(snapshot_of(stream, address).files)


def test_killed_after_the_commit(stream: Stream, address: HistoryAddress, new_exporter: NewExporter) -> None:
    send(stream, 300)
    exporter = new_exporter(environ={"SHOAL_EXPORTER_CRASH_AT": "after_delta_commit:1"})
    assert exporter.await_exit(WITHIN_S) == -signal.SIGKILL
    assert len(rows_of(snapshot_of(stream, address))) > 0
    # archived on with other borders of batches, by whoever comes first
    send(stream, 100, first=300)
    archive_log(stream.bootstrap, address, stream.partitions)
    send(stream, 200, first=400)
    new_exporter()
    await_archived(stream, address)


def test_two_archivers_that_own_the_same(stream: Stream, address: HistoryAddress, new_exporter: NewExporter) -> None:
    """Two groups, each with all partitions: what a zombie and its successor are at their worst."""
    first = new_exporter(environ={"SHOAL_EXPORTER_ARCHIVE_GROUP": "one", "SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": "0.05"})
    second = new_exporter(environ={"SHOAL_EXPORTER_ARCHIVE_GROUP": "two", "SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": "0.07"})
    first.await_ready()
    second.await_ready()
    for part in range(20):
        send(stream, 100, first=part * 100)
    await_archived(stream, address)
    assert first.stop() == second.stop() == 0
    assert differences(stream, snapshot_of(stream, address)) == []


def test_partitions_that_move_and_come_back(stream: Stream, address: HistoryAddress, new_exporter: NewExporter) -> None:
    staying = new_exporter().await_ready()
    for part in range(3):
        send(stream, 200, first=part * 400)
        joining = new_exporter().await_ready()
        send(stream, 200, first=part * 400 + 200)
        joining.kill() if part == 1 else joining.stop()
    await_archived(stream, address)
    assert staying.exit_code() is None


def test_a_zombie_adds_nothing_twice(stream: Stream, address: HistoryAddress, new_exporter: NewExporter) -> None:
    zombie = new_exporter().await_ready()
    send(stream, 300)
    zombie.send(signal.SIGSTOP)
    new_exporter()
    send(stream, 300, first=300)
    await_archived(stream, address)
    zombie.send(signal.SIGCONT)
    send(stream, 300, first=600)
    zombie.await_ready()
    await_archived(stream, address)


def test_what_the_evaluator_sets_aside_is_passed_over_and_so_are_markers(
    stream: Stream, address: HistoryAddress, new_exporter: NewExporter
) -> None:
    new_exporter()
    send(stream, 20)
    settings = producer_config(stream.bootstrap, 3 << 20, delivery_timeout_ms=30_000)
    transactional = Producer(settings | {"transactional.id": "t", "log_level": 0})
    transactional.init_transactions()
    for is_kept in (True, False):
        transactional.begin_transaction()
        for user in range(8):
            value = b'{"tenant":1,"user_id":"t-%d","event_type":"sent","payload":{"kept":%d}}' % (user, is_kept)
            transactional.produce(EVENTS, value, user_key(TENANT, f"t-{user}"))
        (transactional.commit_transaction if is_kept else transactional.abort_transaction)()
    for number, (value, _) in enumerate(POISON.values()):
        stream.producer.produce(EVENTS, value, b"1\0u", number % stream.partitions)
    good = b'{"tenant":1,"user_id":"u","event_type":"wrong_place"}'
    for partition in range(stream.partitions):
        stream.producer.produce(EVENTS, good, b"1\0u", partition)
        stream.producer.produce(EVENTS, good, None, partition)
    stream.flush()
    await_archived(stream, address)
    types = [event_type for (event_type,) in rows_of(snapshot_of(stream, address), "event_type")]
    assert (types.count("sent"), types.count("wrong_place"), len(types)) == (8, 1, 29)


def test_an_id_that_comes_again_after_a_restart_is_a_repeat(
    stream: Stream, address: HistoryAddress, new_exporter: NewExporter
) -> None:
    stream.send("ada", "order_placed", event_id="one", occurred_at="2026-02-01")
    stream.flush()
    exporter = new_exporter().await_ready()
    await_archived(stream, address)
    assert exporter.stop() == 0
    stream.send("ada", "order_placed", event_id="one", occurred_at="2026-01-01")
    stream.send("ada", "order_placed", event_id="two", occurred_at="2026-03-01")
    stream.flush()
    new_exporter()
    await_archived(stream, address)
    marks = rows_of(snapshot_of(stream, address), "event_id, is_repeat, makes_known")
    assert sorted(marks) == [("one", False, True), ("one", True, False), ("two", False, False)]


def test_storage_that_is_away_is_told_of_and_archiving_goes_on_when_it_is_back(
    stream: Stream, address: HistoryAddress, new_exporter: NewExporter
) -> None:
    assert address.folder is not None
    address.folder.write_text("in the way")
    exporter = new_exporter()
    send(stream, 100)

    def history() -> str:
        return str(exporter.readiness().get("history"))

    wait_for(lambda: str(address.folder) in history(), WITHIN_S, "the fault is told")
    assert metric(exporter, 'shoal_exporter_archive_failures_total{table="events"}') >= 1
    address.folder.unlink()
    exporter.await_ready()
    await_archived(stream, address)
    assert metric(exporter, 'shoal_exporter_archived_rows_total{table="events"}') == 100


def test_a_bucket_that_comes_and_goes_under_load(
    stream: Stream, new_exporter: NewExporter, bucket: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Connections break at any moment: before a commit, while it is made, before its answer."""
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
    address = HistoryAddress.of(f"s3://{bucket.bucket}/{tmp_path.name}")
    reader = HistoryReader(address, stream.partitions)
    log_epoch = log_epoch_of(stream)
    with TcpProxy(HOST, bucket.port) as proxy:
        behind = {"AWS_ENDPOINT_URL": f"http://{HOST}:{proxy.port}", "SHOAL_HISTORY": address.uri}
        exporter = new_exporter(environ=bucket.environ | behind | {"SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": "0.05"})
        exporter.await_ready()
        for part in range(5):
            send(stream, 100, first=part * 200)
            proxy.set_reset()
            wait_for(lambda: "s3://" in str(exporter.readiness().get("history")), WITHIN_S, "the fault is told")
            send(stream, 100, first=part * 200 + 100)
            proxy.set_pass()
        wait_for(lambda: is_complete(stream, reader.snapshot(log_epoch)), WITHIN_S, "all events are archived")
    assert differences(stream, reader.snapshot(log_epoch)) == []


def test_events_that_are_lost_are_told_of_and_not_passed_over(
    stream: Stream, address: HistoryAddress, new_exporter: NewExporter
) -> None:
    send(stream, 200)
    archive_log(stream.bootstrap, address, stream.partitions)
    send(stream, 200, first=200)
    ends = stream.end_offsets()
    delete_records(stream.bootstrap, EVENTS, {p: end - 1 for p, end in ends.items()})
    exporter = new_exporter()
    wait_for(lambda: "they are lost" in str(exporter.readiness().get("history")), WITHIN_S, "the loss is told")
    assert "SHOAL_EXPORTER_ACCEPT_LOST_EVENTS" in str(exporter.readiness().get("history"))
    exporter.stop()
    assert len(rows_of(snapshot_of(stream, address))) == 200
    new_exporter(environ={"SHOAL_EXPORTER_ACCEPT_LOST_EVENTS": "true"})
    wait_for(lambda: is_complete(stream, snapshot_of(stream, address)), WITHIN_S, "what is left is archived")
    assert len(rows_of(snapshot_of(stream, address))) == 200 + stream.partitions
