"""Running a case: a world, its verdict, and what is kept when it fails."""

import contextlib
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fault.check import Verdict
from tests.fault.dump import save
from tests.fault.registry import Case
from tests.fault.servers import FaultServers
from tests.fault.world import fresh_world
from tests.support.kafka_cluster import kafka_cluster


class Row(NamedTuple):
    """One line of the table. `dump`: where the topics and logs of a failed case are."""

    case: int
    title: str
    seed: int
    records: int
    differences: list[str]
    recovered_s: float | None
    took_s: float
    note: str
    dump: Path | None

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.differences


def run_case(servers: FaultServers, case: Case, seed: int, *, brief: bool = False, patch: str = "") -> Row:
    """Run it. An exception is a difference too, so that the others still run.

    `patch` starts evaluators without some guard; what they leave is not kept.
    """
    began_s = time.monotonic()
    with (
        _cluster_if(servers, wanted=case.on_cluster) as own,
        fresh_world(own, seed, brief=brief, patch=patch) as world,
    ):
        try:
            verdict = case.run(world)
        except Exception:  # noqa: BLE001 - one row of the table
            verdict = Verdict(0, [traceback.format_exc()], world.recovered_s)
        world.end()
        dump = save(world) if verdict.differences and not patch else None
    took_s = time.monotonic() - began_s
    return Row(case.number, case.title, seed, *verdict[:3], took_s, verdict.note, dump)


@contextlib.contextmanager
def _cluster_if(servers: FaultServers, *, wanted: bool) -> Iterator[FaultServers]:
    if not wanted:
        yield servers
        return
    with kafka_cluster() as cluster:
        yield servers.on_cluster(cluster)
