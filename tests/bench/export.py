"""Exports beside DuckDB's `COPY` of the same rows to Parquet: rows -> file, and the whole from Valkey on.

The ratio is of CPU time of the process, all threads included, and the rounds go in turn. Each file is read back. The
memory is that of a process of its own for each size: how far its peak lies above what it held before.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from redis import Redis

from services.exporter.exports.formats import write_rows
from services.exporter.exports.job import ExportJob
from services.exporter.exports.members import PAGE
from services.exporter.exports.rows import rows_of
from services.exporter.settings import ExporterSettings
from shared.contracts import redis_keys as keys
from shared.contracts.export_request import ExportRequest
from shared.contracts.topics import declare
from shared.domain.times import DAY_US, SECOND_US
from shared.runtime.clock import SystemClock
from shared.runtime.kafka import ensure_topics
from tests.bench.measure import spread
from tests.support.servers import Servers

MEMBERS = (1_000_000, 3_000_000)
"""The figures are of the first; of all the memory."""
ROUNDS = 5
GOAL = 0.7
PARTITIONS, TENANT, SEGMENT = 12, 1, 5
BEGAN_US = 1_777_118_400 * SECOND_US
_MIB_KB = 1024


def measure(servers: Servers, rounds: int = ROUNDS, sizes: Sequence[int] = MEMBERS) -> dict[str, Any]:
    """CPU seconds of each, one for each round, and the MiB by which a process grew for each size."""
    ensure_topics(servers.kafka_bootstrap_servers, declare(PARTITIONS))
    grown: dict[int, float] = {}
    figures: dict[str, list[float]] = {}
    for size in sizes:
        fill(servers.redis_url, size)
        with TemporaryDirectory(prefix="shoal-bench-") as folder:
            if not figures:
                figures = _compared(servers, Path(folder), size, rounds)
            asked = json.dumps([servers.kafka_bootstrap_servers, servers.redis_url, folder, size])
            child = [sys.executable, "-m", "tests.bench.export", asked]
            grown[size] = float(subprocess.run(child, capture_output=True, check=True).stdout)
    return {"members": sizes[0], "cpu_s": figures, "grown_mib": grown}


def table(found: dict[str, Any]) -> str:
    """The figures for a person."""
    figures = found["cpu_s"]
    lines = [f"export of {found['members']:,} members, CPU seconds (median, range), rounds in turn"]
    for name, values in figures.items():
        ratios = [copy / ours for copy, ours in zip(figures["DuckDB COPY"], values, strict=True)]
        told = f"   {spread(ratios)} of the speed of COPY (goal {GOAL})" if name != "DuckDB COPY" else ""
        lines.append(f"  {name:<24} {spread(values)}{told}")
    lines += [f"  {size:,} members: the process grew by {grown:.0f} MiB" for size, grown in found["grown_mib"].items()]
    return "\n".join(lines)


def fill(redis_url: str, members: int) -> None:
    """Valkey as an evaluator leaves it that has sent everything: every user in three segments."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        for partition in range(PARTITIONS):
            sent = b"1 1 %d" % (SystemClock().now_us() + 86_400 * SECOND_US)
            redis.mset(
                {
                    keys.head_key(partition): b"1 1",
                    keys.published_key(partition): sent,
                    keys.clock_key(partition): b"%d" % BEGAN_US,
                }
            )
            numbers = range(partition, members, PARTITIONS)
            for start in range(0, len(numbers), 5_000):
                some = {_user(number): _packed(number) for number in numbers[start : start + 5_000]}
                redis.mset({keys.user_key(partition, TENANT, user_id): value for user_id, value in some.items()})
                redis.zadd(keys.members_key(partition, TENANT, SEGMENT), dict.fromkeys(some, 0))


def _user(number: int) -> str:
    """Of all numbers another, in no order."""
    return f"user-{number * 2_654_435_761 % (1 << 32):010d}"


def _entered_at(number: int) -> int:
    """Some time of 30 days."""
    return BEGAN_US + number * 7_919_000_003 % (30 * DAY_US)


def _packed(number: int) -> bytes:
    entered_at = _entered_at(number)
    return keys.pack_records(
        keys.MembershipRecord(segment_id, entered_at, keys.NEVER, 0) for segment_id in (3, SEGMENT, 9)
    )


def _compared(servers: Servers, folder: Path, members: int, rounds: int) -> dict[str, list[float]]:
    rows = {_user(number): _entered_at(number) for number in range(members)}
    batches = pa.Table.from_batches([rows_of(rows)]).to_batches(PAGE)
    del rows
    with duckdb.connect() as connection:
        everything = pa.Table.from_batches(batches)  # noqa: F841 - DuckDB finds it by its name
        connection.execute("CREATE TABLE members AS SELECT * FROM everything")
        runs: dict[str, Callable[[], Path]] = {
            "DuckDB COPY": partial(_copied, connection, folder),
            "rows -> file": partial(_written, batches, folder),
            "Valkey -> file": partial(_exported, servers, folder, members),
        }
        figures: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                began_s = time.process_time()
                made = run()
                figures[name].append(time.process_time() - began_s)
                _check(made, members)
                made.unlink()
    return figures


def _copied(connection: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    path = folder / "copied.parquet"
    connection.execute(f"COPY members TO '{path}' (FORMAT PARQUET)")
    return path


def _written(batches: list[pa.RecordBatch], folder: Path) -> Path:
    path = folder / "written.parquet"
    with path.open("wb", buffering=0) as out:
        write_rows("parquet", out, batches, {})
    return path


def _exported(servers: Servers, folder: Path, members: int) -> Path:
    settings = ExporterSettings(
        kafka_bootstrap_servers=servers.kafka_bootstrap_servers,
        redis_url=servers.redis_url,
        partitions=PARTITIONS,
        history=str(folder),
        exports=str(folder),
    )
    made = ExportJob(settings, ExportRequest(1, 1, TENANT, SEGMENT, "parquet"), SystemClock()).run()
    assert made.row_count == members
    return folder / made.file.name


def _check(path: Path, members: int) -> None:
    with closing(pq.ParquetFile(path)) as file:
        assert file.metadata.num_rows == members
        users = pa.concat_arrays(file.read(["user_id"])["user_id"].chunks)
        assert len(users.unique()) == members


def _grown(bootstrap: str, redis_url: str, folder: str, members: int) -> float:
    """The MiB by which this process grows with an export."""
    servers = Servers(bootstrap, redis_url, "")
    before_kb = _memory_kb("VmRSS")
    _exported(servers, Path(folder), members)
    return (_memory_kb("VmHWM") - before_kb) / _MIB_KB


def _memory_kb(name: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    print(_grown(*json.loads(sys.argv[1])))
