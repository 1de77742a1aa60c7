"""Rows as bytes of a file: Parquet, CSV, JSON lines."""

from collections.abc import Iterable, Mapping
from io import RawIOBase

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.exporter.exports.rows import COLUMNS
from shared.contracts.export_request import ExportFormat

ROWS_AT_ONCE = 122_880
"""Rows of a row group, and of what is held in memory."""

_EXECUTED = r"^[=+\-@\t\r]"
"""What a cell begins with that a spreadsheet takes for a formula."""
_QUOTED = r'[",\r\n]'


def write_rows(
    file_format: ExportFormat, out: RawIOBase, batches: Iterable[pa.RecordBatch], about: Mapping[str, str]
) -> int:
    """Write all rows; `about` goes into a file that can hold it. Returns how many rows there were. Raises OSError."""
    if file_format == "parquet":
        return _write_parquet(out, batches, about)
    if file_format == "csv":
        out.write(b"user_id,computed_at\n")
    rows = 0
    for table in _gathered(batches):
        rows += len(table)
        out.write(_csv(table) if file_format == "csv" else _json_lines(table))
    return rows


def _write_parquet(out: RawIOBase, batches: Iterable[pa.RecordBatch], about: Mapping[str, str]) -> int:
    rows = 0
    schema = COLUMNS.with_metadata(dict(about))
    # user ids differ, and a dictionary of them is given up late; of the instants many are the same after a compute
    with pq.ParquetWriter(out, schema, compression="snappy", use_dictionary=["computed_at"]) as writer:
        for table in _gathered(batches):
            rows += len(table)
            writer.write_table(table.replace_schema_metadata(schema.metadata), ROWS_AT_ONCE)
    return rows


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.Table]:
    """The same rows in tables of about ROWS_AT_ONCE."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _csv(table: pa.Table) -> bytes:
    users = table["user_id"]
    tamed = pc.if_else(pc.match_substring_regex(users, _EXECUTED), pc.binary_join_element_wise("'", users, ""), users)
    doubled = pc.replace_substring(tamed, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    cells = pc.if_else(pc.match_substring_regex(tamed, _QUOTED), quoted, tamed)
    return _joined(
        pc.binary_join_element_wise(cells, pc.binary_join_element_wise(_texts(table["computed_at"]), "\n", ""), ",")
    )


def _json_lines(table: pa.Table) -> bytes:
    rows = map(_Row, table["user_id"].to_pylist(), _texts(table["computed_at"]).to_pylist())
    return _encoder.encode_lines(rows)


class _Row(msgspec.Struct, gc=False):
    user_id: str
    computed_at: str


_encoder = msgspec.json.Encoder()


def text_of_us(instant_us: int) -> str:
    """An instant, in microseconds since 1970, as the files write it: 2026-04-25T12:00:00.000000Z."""
    return str(_texts(pa.array([instant_us], pa.timestamp("us", "UTC")))[0])


def _texts(instants: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    texts = instants.cast(pa.timestamp("us")).cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_replace_slice(texts, 10, 11, "T"), "Z", "")


def _joined(texts: pa.ChunkedArray) -> bytes:
    """One text after the other."""
    whole = texts.combine_chunks()
    return bytes(pc.binary_join(pa.ListArray.from_arrays([0, len(whole)], whole), "")[0].as_buffer())
