"""Killed, told to stop or refused in the middle of an export: complete or failed, never half, never two files."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.contracts.progress import Progress
from shared.runtime.crash_points import CrashPoint
from tests.integration.exporter.test_exports import DEFINITIONS, moving
from tests.support.evaluators import EvaluatorProcess, ExporterProcess, wait_for
from tests.support.exported import ask, await_final, wrong_export
from tests.support.stream import Stream

NewExporter = Callable[..., ExporterProcess]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exports"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("after_export_walk", []),
        ("before_export_rename", [r"3-[0-9a-f]{16}\.csv\.partial"]),
        ("after_export_rename", [r"3-[0-9a-f]{16}\.csv"]),
        ("after_export_report", [r"3-[0-9a-f]{16}\.csv"]),
    ],
)
def test_killed_at_every_arrow_it_is_made_anew_and_the_first_report_counts(
    stream: Stream,
    evaluator: EvaluatorProcess,
    new_exporter: NewExporter,
    folder: Path,
    point: CrashPoint,
    left: list[str],
) -> None:
    stream.activate(DEFINITIONS)
    with moving(stream):
        wait_for(lambda: len(stream.changes()) > 500, 60, "memberships change")
        ask(stream, 3, 5, "csv")
        crashed = new_exporter(environ={"SHOAL_EXPORTER_CRASH_AT": f"{point}:1"})
        assert crashed.await_exit(60) == -signal.SIGKILL
        before = files_in(folder)
        assert len(before) == len(left)
        assert all(re.fullmatch(pattern, name) for pattern, name in zip(left, before, strict=True))
        new_exporter()
        # whoever is killed after its report has reported; the second report is dropped by its reader
        wait_for(lambda: len(_complete(stream)) > (point == "after_export_report"), 60, "it is made anew")
        final = await_final(stream, [3])[3]
    stream.await_committed()
    assert wrong_export(stream, folder, 5, final) == []
    assert len({report.file.name for report in _complete(stream) if report.file}) == len(_complete(stream))
    assert set(before) <= set(files_in(folder))


def _complete(stream: Stream) -> list[Progress]:
    return [report for report in stream.reports() if report.status == "complete"]


def test_told_to_stop_it_ends_within_seconds_and_leaves_the_request(
    stream: Stream, new_exporter: NewExporter, folder: Path
) -> None:
    """There is no evaluator yet, so that the export waits."""
    ask(stream, 4, 5)
    first = new_exporter().await_ready()
    wait_for(lambda: [report.status for report in stream.reports()] == ["running"], 40, "it is running")
    wait_for(lambda: any(report.detail for report in stream.reports()), 40, "it says what it waits for")
    began_s = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - began_s < 10
    assert {report.status for report in stream.reports()} == {"running"}
    assert files_in(folder) == []
    new_exporter(environ={"SHOAL_EXPORTER_EXPORT_WAIT_S": "0.1"})
    assert "ask again later" in str(await_final(stream, [4])[4].error)


def test_a_place_that_takes_no_files_is_tried_again(
    stream: Stream, evaluator: EvaluatorProcess, new_exporter: NewExporter, folder: Path
) -> None:
    stream.activate(DEFINITIONS)
    folder.write_text("in the way")
    ask(stream, 5, 7)
    new_exporter()
    wait_for(
        lambda: any("no file can be written" in str(report.detail) for report in stream.reports()),
        60,
        "the fault is told",
    )
    folder.unlink()
    assert await_final(stream, [5])[5].status == "complete"


def test_two_that_share_the_requests_answer_each(
    stream: Stream, evaluator: EvaluatorProcess, new_exporter: NewExporter, folder: Path
) -> None:
    """One joins while the other is at work, and one is killed: requests move, none is lost."""
    stream.activate(DEFINITIONS)
    with moving(stream):
        first = new_exporter().await_ready()
        for number in range(6):
            ask(stream, number, 7)
        wait_for(lambda: len(stream.reports()) > 0, 60, "the first is at work")
        new_exporter().await_ready()
        first.kill()
        finals = await_final(stream, range(6))
    stream.await_committed()
    assert [fault for final in finals.values() for fault in wrong_export(stream, folder, 7, final)] == []
