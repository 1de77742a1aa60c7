"""Export files as their readers see them, and what must be in them: by the log of changes, and by the oracle."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from shared.contracts.export_request import ExportFormat, ExportRequest, encode_export_request, export_request_key
from shared.contracts.progress import Progress
from shared.contracts.topics import EXPORT_REQUESTS
from tests.support.evaluators import wait_for
from tests.support.stream import Stream

WITHIN_S = 90
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Members = dict[str, int]
"""User id -> `computed_at` in microseconds since 1970."""


def ask(stream: Stream, export_id: int, segment_id: int, file_format: ExportFormat = "parquet") -> None:
    """Wish a file, as the api does."""
    wish = ExportRequest(export_id, 1_000 + export_id, stream.tenant, segment_id, file_format)
    stream.producer.produce(EXPORT_REQUESTS, encode_export_request(wish), export_request_key(export_id))
    stream.flush()


def await_final(stream: Stream, export_ids: Iterable[int], within_s: float = WITHIN_S) -> dict[int, Progress]:
    """The first final report of each of these exports: the one that counts."""
    wanted = set(export_ids)

    def found() -> dict[int, Progress] | None:
        finals: dict[int, Progress] = {}
        for one in stream.reports():
            if one.kind == "export" and one.status in ("complete", "failed"):
                finals.setdefault(one.id, one)
        return finals if wanted <= finals.keys() else None

    return wait_for(found, within_s, f"final reports of exports {sorted(wanted)}")


def rows_of(path: Path) -> Members:
    """The rows of a file; each user is in it once."""
    read = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}[path.suffix]
    rows = read(path)
    twice = [user_id for user_id, times in Counter(user_id for user_id, _ in rows).items() if times > 1]
    assert twice == []
    return {user_id: (at - _EPOCH) // timedelta(microseconds=1) for user_id, at in rows}


def members_by_changes(changes: Iterable[dict[str, Any]], segment_id: int, as_of: int) -> Members:
    """Who had entered last, and when, of those whose last change up to `as_of` this is."""
    last: dict[str, dict[str, Any]] = {}
    for change in sorted(changes, key=lambda change: (change["generation"], change["sequence"])):
        if change["segment_id"] == segment_id and change["at_us"] <= as_of:
            last[change["user_id"]] = change
    return {user_id: change["at_us"] for user_id, change in last.items() if change["change"] == "entered"}


def wrong_export(stream: Stream, folder: Path, segment_id: int, final: Progress) -> list[str]:
    """What is wrong with a complete export: its file is whole, and has the members of its instant."""
    assert final.file is not None, final
    path = folder / final.file.name
    content = path.read_bytes()
    rows = rows_of(path)
    told = final.row_count, final.file.size, final.file.sha256
    faults = [] if told == (len(rows), len(content), hashlib.sha256(content).hexdigest()) else [f"{path}: not {told}"]
    return faults + wrong_rows(rows, stream.distinct_changes(), segment_id, final.file.as_of_us)


def wrong_rows(rows: Members, changes: Iterable[dict[str, Any]], segment_id: int, as_of: int) -> list[str]:
    """The rows that differ from the members at `as_of`, in words."""
    wrong = sorted(members_by_changes(changes, segment_id, as_of).items() ^ rows.items())
    return [
        f"export of segment {segment_id} at {as_of}: {user_id}, who entered at {at}, is "
        f"{'too much' if user_id in rows and rows[user_id] == at else 'missing'}"
        for user_id, at in wrong
    ]


def _parquet(path: Path) -> list[tuple[str, datetime]]:
    table = pq.read_table(path)
    assert [str(kind) for kind in table.schema.types] == ["string", "timestamp[us, tz=UTC]"]
    return list(zip(table["user_id"].to_pylist(), table["computed_at"].to_pylist(), strict=True))


def _csv(path: Path) -> list[tuple[str, datetime]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["user_id", "computed_at"]
    return [(user_id, datetime.fromisoformat(at)) for user_id, at in rows]


def _json_lines(path: Path) -> list[tuple[str, datetime]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(list(row) == ["user_id", "computed_at"] for row in rows)
    return [(row["user_id"], datetime.fromisoformat(row["computed_at"])) for row in rows]
