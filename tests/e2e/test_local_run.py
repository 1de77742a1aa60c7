"""`make up` and `make down`, on real servers: what is printed works, what dies comes back, the data stays."""

import contextlib
import gzip
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from deploy.local.demo import await_computed
from deploy.local.errors import LocalRunError
from deploy.local.process import end_left_over
from deploy.local.rest import Api
from deploy.local.summary import curl_lines
from tests.support.evaluators import wait_for
from tests.support.exported import rows_of
from tests.support.local_runner import LocalRunner, free_port_base

USERS = 40
LAST = datetime(2024, 6, 30, 12, 0)  # noqa: DTZ001 - the data file has no zones
PROCESSES = {"runner", "postgres", "valkey", "kafka", "api", "evaluator", "exporter"}


def small_demo() -> bytes:
    """User n bought n days ago, put something into the cart 2 days ago, and looks at products until the end."""
    rows = ["user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle"]
    for number in range(USERS):
        times = {"purchase": LAST - timedelta(days=number), "add_to_cart": LAST - timedelta(days=2)}
        if number < USERS // 2:
            times["product_view"] = LAST
        rows += [f"user-{number},s,{name},{at:%Y-%m-%d %H:%M:%S},web,email,2024,new" for name, at in times.items()]
    return gzip.compress(("\n".join(rows) + "\n").encode())


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRunner]:
    """An installation with a small demo; the tests of this file start and end it in their order."""
    folder = tmp_path_factory.mktemp("installation")
    (folder / "demo").mkdir()
    (folder / "demo" / "ecom.csv.gz").write_bytes(small_demo())
    started = LocalRunner(folder, free_port_base())
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGTERM)
    end_left_over(folder)


def api(runner: LocalRunner) -> Api:
    connection = runner.connection()
    return Api(connection["api_url"], connection["api_key"])


def members(runner: LocalRunner) -> list[int]:
    """The number of users of each demo segment, by id."""
    return [segment["member_count"] for segment in api(runner).get("/api/segments/?page_size=10")["results"]]


def alive(pids: dict[str, int]) -> list[str]:
    return [name for name, pid in pids.items() if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def test_the_first_start_prints_what_works_and_writes_the_connection_file(runner: LocalRunner) -> None:
    said = runner.up()
    # day 30 ends exactly at the window's edge: its event has left it
    expected = {"Bought in the last 30 days": 30, "Left a cart behind this week": USERS - 7}
    for name, count in expected.items():
        assert re.search(rf"^\s+{count} users  {name} \(segment \d\)$", said, re.MULTILINE), said
    connection = runner.connection()
    assert stat.S_IMODE((runner.folder / "connection.json").stat().st_mode) == 0o600
    assert connection["api_url"] == f"http://127.0.0.1:{runner.port_base}"
    assert set(connection["pids"]) == PROCESSES
    assert sorted(alive(connection["pids"])) == sorted(PROCESSES)
    assert f"  Key   {connection['api_key']}\n" in said
    assert f"  Docs  {connection['api_url']}/api/docs/\n" in said


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_three_lines_work_when_pasted(runner: LocalRunner) -> None:
    connection = runner.connection()
    answers = []
    for line in curl_lines(connection["api_url"], connection["api_key"]):
        done = subprocess.run(["sh", "-c", f"{line} -sSf"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    tracked, segments, membership = answers
    assert tracked["queued"] is True
    assert membership["user_id"] == "ada@example.org"
    assert segments["count"] == 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_members_of_a_segment_come_as_a_file(runner: LocalRunner, tmp_path: Path) -> None:
    segment = api(runner).get("/api/segments/")["results"][0]
    path = f"/api/segments/{segment['id']}/export/"
    export_id = api(runner).post(path, {"format": "csv"})["export_id"]
    one = f"{path}?export_id={export_id}"
    wait_for(lambda: api(runner).get(one)["status"] in ("complete", "failed"), 60, "the export has ended")
    subprocess.run(["curl", "-sSfO", api(runner).get(one)["download_url"]], cwd=tmp_path, check=True)
    (file,) = tmp_path.iterdir()
    assert file.name == f"segment-{segment['id']}-export-{export_id}.csv"
    assert len(rows_of(file)) == segment["member_count"] > 0


def test_dead_letters_are_found_without_an_address(runner: LocalRunner, tmp_path: Path) -> None:
    done = runner.run("dead-letters", "list", "--since", "2024-01-01")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 letters\n", "")
    elsewhere = runner.run("dead-letters", "list", SHOAL_DATA=str(tmp_path))
    assert (elsewhere.returncode, elsewhere.stderr) == (1, f"Nothing runs in {tmp_path}: `make up` starts it.\n")


def test_a_second_one_in_the_same_folder_is_refused_in_one_line(runner: LocalRunner) -> None:
    done = runner.run("up")
    assert done.returncode == 1
    assert re.fullmatch(r"Shoal runs already in \S+: `make down` ends it, .*\n", done.stderr)


def test_a_port_in_use_is_named_with_what_to_set(runner: LocalRunner, tmp_path: Path) -> None:
    done = runner.run("up", SHOAL_DATA=str(tmp_path))
    assert done.returncode == 1
    said = rf"Port {runner.port_base} \(api\) is in use: free it, or set SHOAL_PORT_BASE .*\n"
    assert re.fullmatch(said, done.stderr)


@pytest.mark.parametrize("name", ["evaluator", "kafka"])
def test_what_is_killed_is_started_again_and_works(runner: LocalRunner, name: str) -> None:
    before = runner.connection()["pids"]
    os.kill(before[name], signal.SIGKILL)
    runner.read_until("is ready again")
    after = runner.connection()["pids"]
    assert {other for other in PROCESSES if before[other] != after[other]} == {name}
    segment_id = brief_segment(runner, name)
    answer = api(runner).post("/api/ingestion/track/", {"user_id": f"after {name}", "event_type": name})
    assert answer["queued"] is True
    await_members(runner, segment_id, 1)
    await_members(runner, segment_id, 0)  # the clock goes on as well


def brief_segment(runner: LocalRunner, event_type: str) -> int:
    """A computed segment of who did this within the last two seconds."""
    condition = {"type": "event_count", "event_type": event_type, "operator": "gte", "value": 1, "window_seconds": 2}
    definition = {"logic": "AND", "conditions": [condition]}
    segment = api(runner).post("/api/segments/", {"name": event_type, "definition": definition})
    api(runner).post(f"/api/segments/{segment['id']}/compute/")
    await_computed(api(runner), segment["id"], time.monotonic() + 60)
    return int(segment["id"])


def await_members(runner: LocalRunner, segment_id: int, count: int) -> None:
    """Ask until the segment has so many; a partition that is not served yet is no answer."""
    deadline = time.monotonic() + 60
    found = None
    while found != count:
        assert time.monotonic() < deadline, f"{found} members instead of {count}"
        with contextlib.suppress(LocalRunError):
            found = api(runner).get(f"/api/segments/{segment_id}/")["member_count"]


def test_down_ends_everything_and_the_next_start_goes_on_with_the_data(runner: LocalRunner) -> None:
    before, counted = runner.connection(), members(runner)
    done = runner.run("down")
    assert done.returncode == 0, done.stderr
    assert runner.ended()[0] == 0
    assert alive(before["pids"]) == []
    assert not (runner.folder / "connection.json").exists()
    assert "Nothing runs in" in runner.run("down").stdout

    said = runner.up()
    assert "Replaying" not in said
    after = runner.connection()
    assert {key: after[key] for key in after if key != "pids"} == {key: before[key] for key in before if key != "pids"}
    assert members(runner) == counted


def test_a_killed_runner_is_recovered_by_the_next_start(runner: LocalRunner) -> None:
    before, counted = runner.connection(), members(runner)
    assert runner.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert len(alive(before["pids"])) == len(PROCESSES) - 1
    said = runner.up()
    assert re.search(r"Ended what was left of a killed run: .*kafka", said)
    assert "runner" not in alive(before["pids"])
    assert members(runner) == counted


def test_ctrl_c_stops_everything_in_order(runner: LocalRunner) -> None:
    pids = runner.connection()["pids"]
    code, said = runner.end(signal.SIGINT)
    assert code == 0
    assert f"Stopped; the data stays in {runner.folder}" in said
    assert alive(pids) == []
    assert list((runner.folder / "run").glob("*.pid")) == []
