"""Ten previews at once of an api process, and one more: are they right, what time and memory do they take."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import httpx
import psutil
from deltalake.transaction import AddAction

from deploy.local.installation import ROOT
from deploy.local.ports import free_ports
from shared.history.address import HistoryAddress
from shared.history.snapshot import HistoryReader
from shared.history.table import commit, create_table
from tests.bench.history_data import TENANT, history_files
from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.evaluators import wait_for
from tests.support.served_api import KEY, PARTITIONS, PATIENCE_S, TOKEN_SECRET, api_settings, prepare
from tests.support.servers import Servers

EVENTS = 10_000_000
AS_OF = "2025-10-14T00:00:00Z"
"""After the last event."""
_COUNTED = "event_type = 'page_viewed'"
_SPENT = "event_type = 'order_placed'"


class Asked(NamedTuple):
    """A condition, and which users it means, written by hand: SQL over the rows `events` up to the instant."""

    condition: dict[str, Any]
    users: str


class Found(NamedTuple):
    """What came of ten questions asked one after the other, then of many at once. refused: status and Retry-After."""

    events: int
    alone_s: float
    at_once_s: float
    right: int
    wrong: int
    refused: list[tuple[int, str | None]]
    peak_rss_mib: int


def asked() -> list[Asked]:
    """Ten that differ: counts, sums, and who never did something."""
    count = {"type": "event_count", "operator": "gte"}
    spent = {"type": "monetary", "event_type": "order_placed", "property": "total", "metric": "sum"}
    counts = [
        Asked({**count, "event_type": "page_viewed", "value": n}, _group(_COUNTED, f"count(*) >= {n}"))
        for n in (1, 5, 20, 50)
    ]
    sums = [
        Asked({**spent, "operator": "gt", "value": total}, _group(_SPENT, f"sum({_TOTAL}) > {total}"))
        for total in (10, 200, 1000)
    ]
    never = [
        Asked(
            {**count, "event_type": event_type, "value": 1, "negate": True},
            "SELECT DISTINCT user_id FROM events EXCEPT " + _group(f"event_type = '{event_type}'", "true"),
        )
        for event_type in ("order_placed", "login", "nothing")
    ]
    return counts + sums + never


_TOTAL = "(payload ->> 'total')::DECIMAL(18, 6)"


def _group(where: str, having: str) -> str:
    return f"SELECT user_id FROM events WHERE {where} GROUP BY user_id HAVING {having}"


def delta_history(folder: Path, events: int) -> HistoryAddress:
    """A history with so many events; made when missing."""
    files = [Path(file) for file in history_files(folder, events)]
    address = HistoryAddress.of(str(folder / f"history-{events}"))
    if not Path(address.table.uri).exists():
        Path(address.uri).mkdir(exist_ok=True)
        Path(address.table.uri).symlink_to(folder / f"events-{events}")
        commit(create_table(address), [_added(file, folder / f"events-{events}") for file in files], {})
    return address


def _added(file: Path, table: Path) -> AddAction:
    by = dict(part.split("=") for part in file.relative_to(table).parts[:-1])
    return AddAction(str(file.relative_to(table)), file.stat().st_size, by, 0, data_change=True, stats="{}")


def expected(files: Sequence[str], questions: list[Asked]) -> list[int]:
    """How many users each condition means."""
    with duckdb.connect() as connection:
        rows = connection.read_parquet(list(files), hive_partitioning=True)
        counted = f"tenant = {TENANT} AND NOT is_repeat AND occurred_at <= TIMESTAMPTZ '{AS_OF}'"
        rows.filter(counted).create_view("events")
        return [connection.execute(f"SELECT count(*) FROM ({each.users})").fetchall()[0][0] for each in questions]


@contextlib.contextmanager
def api_process(servers: Servers, database_url: str, history: str) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """An api process that is ready, with the settings it has by default."""
    prepare(api_settings(servers, database_url))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")} | {
        "SHOAL_KAFKA_BOOTSTRAP_SERVERS": servers.kafka_bootstrap_servers,
        "SHOAL_REDIS_URL": servers.redis_url,
        "SHOAL_DATABASE_URL": database_url,
        "SHOAL_HISTORY": history,
        "SHOAL_EXPORTS": f"{history}/exports",
        "SHOAL_PARTITIONS": str(PARTITIONS),
        "SHOAL_API_BOOTSTRAP_KEY": KEY,
        "SHOAL_API_TOKEN_SECRET": TOKEN_SECRET,
        "SHOAL_API_PORT": str(free_ports(1)[0]),
    }
    url = f"http://127.0.0.1:{environ['SHOAL_API_PORT']}"
    process = subprocess.Popen([sys.executable, "-m", "services.api"], cwd=ROOT, env=environ)
    try:
        with httpx.Client(base_url=url, headers={"Authorization": f"ApiKey {KEY}"}, timeout=120) as client:
            wait_for(lambda: _is_ready(client), PATIENCE_S, "the api is ready")
            yield client, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _is_ready(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/readyz").status_code == 200
    return False


def measure(servers: Servers, folder: Path, events: int = EVENTS, at_once: int = 11) -> Found:
    """Ask ten questions one after the other, then so many at once; on servers that are emptied."""
    empty_kafka(servers.kafka_bootstrap_servers)
    empty_redis(servers.redis_url)
    address, questions = delta_history(folder, events), asked()
    right = expected(HistoryReader(address, PARTITIONS).snapshot("").files, questions)
    with (
        fresh_database(servers.database_url) as database_url,
        api_process(servers, database_url, address.uri) as (client, process),
    ):
        started_s = time.monotonic()
        alone = [_ask(client, each) for each in questions]
        alone_s = time.monotonic() - started_s
        started_s = time.monotonic()
        together = _at_once(client, [questions[n % len(questions)] for n in range(at_once)])
        at_once_s = time.monotonic() - started_s
        peak = _peak_rss_mib(process)
    pairs = [(answer, right[n % len(right)]) for asking in (alone, together) for n, answer in enumerate(asking)]
    counted = [(answer.json()["matched_users"], users) for answer, users in pairs if answer.status_code == 200]
    refused = [answer for answer, _ in pairs if answer.status_code != 200]
    return Found(
        events,
        alone_s,
        at_once_s,
        sum(one == other for one, other in counted),
        sum(one != other for one, other in counted),
        [(answer.status_code, answer.headers.get("Retry-After")) for answer in refused],
        peak,
    )


def _at_once(client: httpx.Client, questions: list[Asked]) -> list[httpx.Response]:
    together = threading.Barrier(len(questions))

    def ask(question: Asked) -> httpx.Response:
        together.wait()
        return _ask(client, question)

    with ThreadPoolExecutor(len(questions)) as clients:
        return list(clients.map(ask, questions))


def _ask(client: httpx.Client, question: Asked) -> httpx.Response:
    definition = {"logic": "AND", "conditions": [question.condition]}
    return client.post("/api/segments/preview/", json={"definition": definition, "as_of": AS_OF})


def _peak_rss_mib(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (kib,) = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(kib) // 1024


def table(found: Found) -> str:
    """The figures as text."""
    return "\n".join(f"{name:22}{value}" for name, value in found._asdict().items())
