"""Export files of a real evaluator's memberships, asked for while they change."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_args

from shared.contracts.export_request import ExportFormat
from tests.support.evaluators import EvaluatorProcess, ExporterProcess, wait_for
from tests.support.exported import ask, await_final, rows_of, wrong_export
from tests.support.stream import Stream
from tests.support.truth import Truth

NewExporter = Callable[..., ExporterProcess]

USERS, RATE = 400, 800
DEFINITIONS: dict[int, dict[str, Any]] = {
    5: {
        "logic": "AND",
        "conditions": [
            {"type": "event_count", "event_type": "order_placed", "operator": "gte", "value": 1, "window_seconds": 2}
        ],
    },
    6: {
        "logic": "AND",
        "conditions": [
            {"type": "event_count", "event_type": "page_viewed", "operator": "eq", "value": 2, "window_seconds": 3}
        ],
    },
    7: {
        "logic": "AND",
        "conditions": [{"type": "event_count", "event_type": "signup", "operator": "gte", "value": 3}],
    },
}


@contextmanager
def moving(stream: Stream) -> Iterator[None]:
    """Users enter, leave and come back all the time, by events and by time."""
    enough = threading.Event()

    def send() -> None:
        randomness, sent = random.Random(7), 0
        began_s = time.monotonic()
        while not enough.wait(max(0.0, began_s + sent / RATE - time.monotonic())):
            for _ in range(20):
                event_type = randomness.choice(("order_placed", "page_viewed", "signup"))
                stream.send(f"user-{randomness.randrange(USERS)}", event_type)
            sent += 20

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        enough.set()
        sender.join()
        stream.flush()


def test_an_export_has_the_members_of_one_instant_while_they_change(
    stream: Stream, evaluator: EvaluatorProcess, new_exporter: NewExporter, tmp_path: Path
) -> None:
    stream.activate(DEFINITIONS)
    new_exporter(environ={"SHOAL_EXPORTER_EXPORTS_AT_ONCE": "2"}).await_ready()
    formats = get_args(ExportFormat)
    with moving(stream):
        wait_for(lambda: len(stream.changes()) > 5 * USERS, 60, "memberships change")
        for number in range(9):
            ask(stream, number, 5 + number % 3, formats[number // 3])
        finals = await_final(stream, range(9))
    stream.await_committed()
    wrong = [
        fault
        for number, final in finals.items()
        for fault in wrong_export(stream, tmp_path / "exports", 5 + number % 3, final)
    ]
    assert wrong == []
    truth = Truth(stream, DEFINITIONS)
    for number, final in finals.items():
        assert final.file is not None
        as_of = final.file.as_of_us
        by_oracle = truth.memberships(as_of, received_by(truth, as_of, stream.partitions)).get(5 + number % 3, set())
        rows = rows_of(tmp_path / "exports" / final.file.name)
        assert rows.keys() == by_oracle
        assert 0 < len(rows) < USERS
    assert {one.status for one in stream.reports() if one.kind == "export"} == {"running", "complete"}


def received_by(truth: Truth, as_of: int, partitions: int) -> dict[int, int]:
    """The first offset of each partition that was received later."""
    return {
        partition: min(
            (
                event.offset
                for events in truth.events.get(partition, {}).values()
                for event in events
                if event.received_at > as_of
            ),
            default=1 << 62,
        )
        for partition in range(partitions)
    }


def test_members_lost_and_written_anew_meanwhile_are_all_there(
    stream: Stream, evaluator: EvaluatorProcess, new_exporter: NewExporter, tmp_path: Path
) -> None:
    """Redis is emptied again and again while exports run; each has all members, and some had to wait."""
    stream.activate(DEFINITIONS)
    new_exporter().await_ready()
    with moving(stream):
        wait_for(lambda: len(stream.changes()) > 5 * USERS, 60, "memberships change")
        for number in range(4):
            ask(stream, number, 7)
            wait_for(partial(began, stream, number), 60, "it has begun")
            stream.redis.flushall()
        finals = await_final(stream, range(4))
    stream.await_committed()
    assert [fault for final in finals.values() for fault in wrong_export(stream, tmp_path / "exports", 7, final)] == []
    assert all(final.row_count for final in finals.values())


def began(stream: Stream, export_id: int) -> bool:
    """Whether anything was reported of the export."""
    return any(report.kind == "export" and report.id == export_id for report in stream.reports())
