"""Files as other programs read them: types, numbers, quoting, and what a spreadsheet must not execute."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from services.exporter.exports.formats import ROWS_AT_ONCE, write_rows
from services.exporter.exports.rows import rows_of
from shared.contracts.export_request import ExportFormat

USERS = ["ann", "a,b", 'say "hi"', "two\nlines", "cr\rhere", " space", "é/ü@x", "'", "", "=1+1", "+1", "-1", "@a"]
USERS += ["\tx", "\rx", '=HYPERLINK("x","y")', "x=1", "NULL", "007", "1e5"]
AT_US = 1_777_118_400_000_000
ABOUT = {"as_of": "2026-04-25T12:00:00Z", "segment_id": "5"}
ROWS = {user_id: AT_US + number for number, user_id in enumerate(USERS)}


def written(file_format: ExportFormat, rows: dict[str, int], batches: int = 1) -> bytes:
    out = BytesIO()
    parts = [dict(list(rows.items())[start::batches]) for start in range(batches)]
    assert write_rows(file_format, out, map(rows_of, parts), ABOUT) == len(rows)  # type: ignore[arg-type] # as a raw one
    return out.getvalue()


def instants(rows: dict[str, int]) -> list[datetime]:
    return [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at) for at in rows.values()]


def test_csv_is_read_back_but_for_the_mark_before_what_a_spreadsheet_executes() -> None:
    header, *rows = csv.reader(StringIO(written("csv", ROWS).decode(), newline=""))
    assert header == ["user_id", "computed_at"]
    tamed = {"=1+1", "+1", "-1", "@a", "\tx", "\rx", '=HYPERLINK("x","y")'}
    assert [user_id for user_id, _ in rows] == [f"'{user_id}" if user_id in tamed else user_id for user_id in USERS]
    assert rows[0][1] == "2026-04-25T12:00:00.000000Z"
    assert rows[1][1] == "2026-04-25T12:00:00.000001Z"


def test_json_lines_are_read_back() -> None:
    rows = [json.loads(line) for line in written("jsonl", ROWS).splitlines()]
    assert [row["user_id"] for row in rows] == USERS
    assert rows[1] == {"user_id": "a,b", "computed_at": "2026-04-25T12:00:00.000001Z"}


def test_parquet_has_types_and_says_of_when_it_is(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    path.write_bytes(written("parquet", ROWS))
    table = pq.read_table(path)
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("user_id", "string"),
        ("computed_at", "timestamp[us, tz=UTC]"),
    ]
    assert (table["user_id"].to_pylist(), table["computed_at"].to_pylist()) == (USERS, instants(ROWS))
    assert {key.encode(): value.encode() for key, value in ABOUT.items()}.items() <= table.schema.metadata.items()
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT user_id, epoch_us(computed_at) FROM '{path}'").fetchall()
    assert found == list(ROWS.items())


@pytest.mark.parametrize(
    ("file_format", "empty"), [("csv", b"user_id,computed_at\n"), ("jsonl", b""), ("parquet", None)]
)
def test_nobody_is_a_file_too(file_format: ExportFormat, empty: bytes | None, tmp_path: Path) -> None:
    content = written(file_format, {})
    if empty is None:
        (tmp_path / "none.parquet").write_bytes(content)
        assert pq.read_table(tmp_path / "none.parquet").num_rows == 0
    else:
        assert content == empty


def test_small_batches_become_large_row_groups(tmp_path: Path) -> None:
    many = {f"user-{number:07d}": AT_US + number for number in range(2 * ROWS_AT_ONCE + 10)}
    path = tmp_path / "many.parquet"
    path.write_bytes(written("parquet", many, batches=60))
    file = pq.ParquetFile(path)
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (len(many), 3)
    assert set(file.read()["user_id"].to_pylist()) == many.keys()
