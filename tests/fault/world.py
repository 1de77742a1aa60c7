"""One installation under test: real servers, the api and evaluators as processes, and the load that they bear."""

import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from tests.fault.api import KEY, TOKEN_SECRET, ApiProcess, migrate
from tests.fault.definitions import DEFINITIONS
from tests.fault.load import Answer, Load, Tracker
from tests.fault.servers import FaultServers
from tests.fault.supervised import SupervisedApi, SupervisedEvaluator, SupervisedExporter
from tests.support.clean_servers import empty_kafka, empty_redis, fresh_database
from tests.support.evaluators import EvaluatorProcess, ServiceProcess, environment, wait_for
from tests.support.servers import Servers
from tests.support.stream import Stream, fresh_stream
from tests.support.truth import Definitions

P = TypeVar("P", bound=ServiceProcess)

PARTITIONS = 12
RATE = 1_000
USERS = 500
ARCHIVE_INTERVAL_S = "0.5"
RECOVERED_S = 60.0
"""The limit of C6: so long after a fault everything up to then must be done."""
_PATIENCE_S = 3 * RECOVERED_S
_API = ["-m", "services.api"]
_EVALUATOR = ["-m", "services.evaluator"]
_EXPORTER = ["-m", "services.exporter"]


class World:
    """What a case acts on. Everything it starts is ended after the case, every server it faulted runs again."""

    def __init__(
        self,
        servers: FaultServers,
        addresses: Servers,
        stream: Stream,
        seed: int,
        *,
        brief: bool = False,
        patch: str = "",
    ) -> None:
        """`brief`: a case may do less, to be quick. `patch`: takes a guard away, see `Guard`."""
        self.servers, self.addresses, self.stream, self.seed, self.brief = servers, addresses, stream, seed, brief
        self.random = random.Random(seed)
        self.segments: Definitions = {}
        """What was activated, by id."""
        self.answers: list[Answer] = []
        self.recovered_s: float | None = None
        self.history = Path(tempfile.mkdtemp(prefix="shoal-history-"))
        self.exports = Path(tempfile.mkdtemp(prefix="shoal-exports-"))
        """Where exporters archive to."""
        self.processes: list[ServiceProcess] = []
        self.loads: list[Load] = []
        self._patch = patch
        self._seqs = count()

    @property
    def environ(self) -> dict[str, str]:
        """What every service is told; the addresses in it may be replaced by those of a proxy."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
        ours = environment(self.addresses.kafka_bootstrap_servers, self.addresses.redis_url)
        return (
            others
            | ours
            | {
                "SHOAL_DATABASE_URL": self.addresses.database_url,
                "SHOAL_PARTITIONS": str(self.stream.partitions),
                "SHOAL_REPLICATION_FACTOR": str(self.servers.copies),
                "SHOAL_API_BOOTSTRAP_KEY": KEY,
                "SHOAL_API_TOKEN_SECRET": TOKEN_SECRET,
                "SHOAL_HISTORY": str(self.history),
                "SHOAL_EXPORTS": str(self.exports),
                "SHOAL_EXPORTER_ARCHIVE_INTERVAL_S": ARCHIVE_INTERVAL_S,
            }
        )

    # --- processes -------------------------------------------------------------------------------------------

    @cached_property
    def api(self) -> ApiProcess:
        """The api, started when it is first asked for; `new_api` starts another one, or this one otherwise."""
        return self.new_api()

    def new_api(self, environ: Mapping[str, str] | None = None, entry: list[str] | None = None) -> ApiProcess:
        """Start an api; returns when it is ready."""
        return self._started(ApiProcess(self.environ | dict(environ or {}), self._patched(entry or _API))).await_ready()

    def new_supervised_api(self, environ: Mapping[str, str]) -> SupervisedApi:
        """Start an api that is started again whenever it ends, without waiting."""
        return self._started(SupervisedApi(self.environ | dict(environ), self._patched(_API)))

    @overload
    def new_evaluator(
        self,
        entry: list[str] | None = ...,
        environ: Mapping[str, str] | None = ...,
        *,
        supervised: Literal[False] = ...,
    ) -> EvaluatorProcess: ...
    @overload
    def new_evaluator(
        self, entry: list[str] | None = ..., environ: Mapping[str, str] | None = ..., *, supervised: Literal[True]
    ) -> SupervisedEvaluator: ...
    def new_evaluator(
        self, entry: list[str] | None = None, environ: Mapping[str, str] | None = None, *, supervised: bool = False
    ) -> EvaluatorProcess:
        """Start an evaluator, without waiting; `entry` replaces `-m services.evaluator`."""
        kind = SupervisedEvaluator if supervised else EvaluatorProcess
        return self._started(kind(self.environ | dict(environ or {}), self._patched(entry or _EVALUATOR)))

    def new_exporter(self, environ: Mapping[str, str] | None = None) -> SupervisedExporter:
        """Start an exporter, without waiting: everything sent is archived, and `check` looks into the history."""
        return self._started(SupervisedExporter(self.environ | dict(environ or {}), self._patched(_EXPORTER)))

    @property
    def has_archived(self) -> bool:
        """Whether there was an exporter."""
        return any(process.name == "exporter" for process in self.processes)

    def _patched(self, entry: list[str]) -> list[str]:
        kind, what = entry
        if not self._patch or ("services.api" in what) != ("services.api" in self._patch):
            return entry
        start = what if kind == "-c" else f"import runpy; runpy.run_module({what!r}, run_name='__main__')"
        return ["-c", f"{self._patch}\n{start}"]

    def _started(self, process: P) -> P:
        self.processes.append(process)
        return process.start()

    # --- what goes in ----------------------------------------------------------------------------------------

    def activate(self, definitions: Sequence[dict[str, Any]] = DEFINITIONS) -> None:
        """Create and compute segments; an evaluator must be at work."""
        self.segments |= self.api.activate(definitions)

    def load(self, rate: float = RATE, users: int = USERS) -> Load:
        """Begin to send; `check` waits for its end."""
        self.loads.append(Load(self.tracker(), self.stream, self.random.randrange(1 << 30), rate, users))
        return self.loads[-1]

    def tracker(self, url: str = "") -> Tracker:
        """Sends events that are checked as those of a load are; `url`: of a proxy before the api."""
        return Tracker(self.api, self.answers, self._seqs, url)

    # --- time ------------------------------------------------------------------------------------------------

    def await_progress(self, events: int) -> None:
        """Wait until so many more events are committed, so that a fault strikes in the middle of work."""
        before = sum(self.stream.committed().values())
        wait_for(
            lambda: sum(self.stream.committed().values()) >= before + events,
            _PATIENCE_S,
            f"{events} more events committed",
        )

    def at_random(self, within_s: float, not_before_s: float = 0) -> None:
        """Let up to so many seconds pass: the instant of a fault."""
        time.sleep(self.random.uniform(not_before_s, within_s))

    def pass_time(self, seconds: float) -> None:
        """A fault lasts so long: the one thing there is no condition for."""
        time.sleep(seconds)

    def await_recovery(self) -> float:
        """The fault is over: wait until all that was in the log by now is committed; the seconds it took.

        The longest one is what `check` holds against the limit.
        """
        over_s = time.monotonic()
        self.stream.await_committed(_PATIENCE_S)
        took_s = time.monotonic() - over_s
        self.recovered_s = max(took_s, self.recovered_s or 0.0)
        return took_s

    def end(self) -> None:
        """End all processes, repair the servers, end what is still being sent."""
        for process in self.processes:
            process.end()
        self.servers.revive()
        shutil.rmtree(self.history, ignore_errors=True)
        shutil.rmtree(self.exports, ignore_errors=True)
        for load in self.loads:  # of a case that failed: the next one's topics have the same names
            load.stop()


@contextlib.contextmanager
def fresh_world(servers: FaultServers, seed: int, *, brief: bool = False, patch: str = "") -> Iterator[World]:
    """A world on empty servers."""
    addresses = servers.addresses
    empty_kafka(addresses.kafka_bootstrap_servers)
    empty_redis(addresses.redis_url)
    with (
        fresh_database(addresses.database_url) as database_url,
        fresh_stream(addresses.kafka_bootstrap_servers, addresses.redis_url, PARTITIONS, servers.copies) as stream,
    ):
        addresses = addresses._replace(database_url=database_url)
        world = World(servers, addresses, stream, seed, brief=brief, patch=patch)
        migrate(world.environ)
        try:
            yield world
        finally:
            world.end()
            for process in world.processes:
                process.log.unlink(missing_ok=True)
