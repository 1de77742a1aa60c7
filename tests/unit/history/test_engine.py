"""The DuckDB instance: what it can read, how it names what is wrong, and that it stays within its bounds."""

import contextlib
import multiprocessing
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.history.engine import Engine, fetch, read_again
from shared.history.errors import HistoryBroken, HistoryOverloaded, HistoryUnavailable
from shared.history.schema import EVENTS
from shared.history.statement import Statement

MINUTE_US = 60_000_000
FILE_COLUMNS = EVENTS.file_columns


def write(history: Path, name: str = "x", rows: int = 3) -> str:
    """A file of the history: one event of each of so many users, one a minute since 1970-01-01."""
    folder = history / "month=1970-01" / "makes_known=true"
    folder.mkdir(parents=True, exist_ok=True)
    values = [
        [1, f"u{n}", "a", n * MINUTE_US, n * MINUTE_US, None, '{"n":1}', "epoch", 0, n, False] for n in range(rows)
    ]
    columns = zip(*values, strict=True)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, FILE_COLUMNS, strict=True)]
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(arrays, schema=FILE_COLUMNS), path)
    return str(path)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return tmp_path / "hi'story"


@pytest.fixture
def engine(tmp_path: Path, history: Path) -> Iterator[Engine]:
    made = Engine([history], tmp_path / "temp", memory_mb=100, threads=2)
    yield made
    made.close()


def rows(engine: Engine, files: list[str], sql: str, **parameters: object) -> list[tuple[object, ...]]:
    with engine.session(files) as cursor:
        return fetch(cursor, Statement(sql, parameters))


def test_a_session_sees_the_events_of_its_files_with_the_columns_of_the_schema(engine: Engine, history: Path) -> None:
    one, two = write(history, "one"), write(history, "two", rows=2)
    with engine.session([one]) as first, engine.session([one, two]) as second:
        assert [len(fetch(each, Statement("SELECT * FROM events", {}))) for each in (first, second)] == [3, 5]
    assert [name for name, *_ in rows(engine, [one], "DESCRIBE events")] == EVENTS.columns.names


def test_without_files_there_are_no_events_and_the_same_columns(engine: Engine, history: Path) -> None:
    assert rows(engine, [], "SELECT * FROM events") == []
    assert rows(engine, [], "DESCRIBE events") == rows(engine, [write(history)], "DESCRIBE events")


def test_the_zone_of_the_machine_is_of_no_matter(
    tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(history)
    monkeypatch.setenv("TZ", "America/New_York")
    abroad = Engine([history], tmp_path / "temp", memory_mb=100, threads=1)
    try:
        found = rows(abroad, [file], "SELECT max(occurred_at)::VARCHAR, '1970-01-02'::TIMESTAMPTZ::VARCHAR FROM events")
    finally:
        abroad.close()
    assert found == [("1970-01-01 00:02:00+00", "1970-01-02 00:00:00+00")]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM read_text('{history}/../outside.csv')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('https://127.0.0.1/x.parquet')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
    ],
)
def test_nothing_outside_is_read(engine: Engine, history: Path, tmp_path: Path, sql: str) -> None:
    write(history)
    outside = tmp_path / "outside.csv"
    outside.write_text("secret")
    # a quote in the folder's name is doubled, as in any text of SQL
    sql = sql.format(outside=outside, history=str(history).replace("'", "''"))
    with pytest.raises(duckdb.PermissionException):
        rows(engine, [], sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "COPY (SELECT 1) TO '/tmp/x'",
        "CREATE TABLE x AS SELECT 1",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_only_one_select_runs(engine: Engine, sql: str) -> None:
    with pytest.raises(ValueError, match="one SELECT"):
        rows(engine, [], sql)


@pytest.mark.parametrize("sql", ["SET lock_configuration = false", "SET memory_limit = '9GB'", "LOAD httpfs"])
def test_what_is_locked_stays_so_also_for_whoever_has_a_cursor(engine: Engine, sql: str) -> None:
    with engine.session([]) as cursor, pytest.raises(duckdb.Error):
        cursor.execute(sql)


def broken_content(whole: bytes) -> dict[str, bytes]:
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    return {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"no parquet at all" * 9,
        "footer": whole[:footer] + bytes(byte ^ 0x55 for byte in whole[footer:-8]) + whole[-8:],
        "page": whole[:300] + bytes(byte ^ 0x55 for byte in whole[300:900]) + whole[900:],
    }


@pytest.mark.parametrize("how", ["cut", "empty", "text", "footer", "page"])
def test_a_broken_file_is_named(engine: Engine, history: Path, how: str) -> None:
    good, bad = write(history, "good"), write(history, "bad", rows=1000)
    Path(bad).write_bytes(broken_content(Path(bad).read_bytes())[how])
    with pytest.raises(HistoryBroken, match=r"bad\.parquet"):
        rows(engine, [good, bad], "SELECT max(user_id), max(payload), max(log_offset) FROM events")


def test_a_file_that_went_away_is_listed_again_once(engine: Engine, history: Path) -> None:
    gone, there = str(history / "gone.parquet"), write(history)
    listed = [[gone], [there], [gone], [gone]]

    def read() -> list[tuple[object, ...]]:
        return read_again(lambda: listed.pop(0), lambda files: rows(engine, files, "SELECT count(*) FROM events"))

    assert read() == [(3,)]
    with pytest.raises(HistoryUnavailable):
        read()
    assert listed == []


def test_an_error_of_a_statement_says_nothing_about_the_history(engine: Engine, history: Path) -> None:
    with pytest.raises(duckdb.BinderException):
        rows(engine, [write(history)], "SELECT nothing FROM events")


def test_memory_spills_into_the_folder_and_what_is_too_much_is_told(tmp_path: Path, history: Path) -> None:
    sorted_rows = "SELECT count(n) FROM (SELECT row_number() OVER (ORDER BY hash(i)) n FROM range(3000000) t(i))"
    temp = tmp_path / "temp"
    roomy = Engine([history], temp, memory_mb=60, threads=1)
    assert rows(roomy, [], sorted_rows) == [(3_000_000,)]
    roomy.close()
    assert list(temp.iterdir()) == []
    tight = Engine([history], temp, memory_mb=60, threads=1, temp_mb=1)
    with pytest.raises(HistoryOverloaded):
        rows(tight, [], sorted_rows)
    assert rows(tight, [], "SELECT 1") == [(1,)]
    tight.close()


def test_a_statement_is_interrupted_and_the_engine_goes_on(engine: Engine) -> None:
    forever = Statement("SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE hash(i, j) = 1", {})
    with contextlib.ExitStack() as session:
        cursor = session.enter_context(engine.session([]))
        threading.Timer(0.05, cursor.interrupt).start()
        with pytest.raises(duckdb.InterruptException):
            fetch(cursor, forever)
    assert rows(engine, [], "SELECT 1") == [(1,)]


def _die(temp: Path, ready: Connection) -> None:
    engine = Engine([], temp, memory_mb=100, threads=1)
    ready.send(True)
    threading.Event().wait()
    engine.close()


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_die, args=(tmp_path, there))
    process.start()
    assert here.recv()
    (used,) = tmp_path.iterdir()
    Engine([], tmp_path, memory_mb=100, threads=1).close()
    assert list(tmp_path.iterdir()) == [used]
    process.kill()
    process.join()
    Engine([], tmp_path, memory_mb=100, threads=1).close()
    assert list(tmp_path.iterdir()) == []
