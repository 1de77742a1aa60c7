"""`python -m tests.fault.soak`: random faults, one after the other, under a load for a long time; then the check.

Prints a summary and writes soak.json; exit code 1 if anything differed from the oracle.
"""

import argparse
import json
import random
import statistics
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fault.check import Verdict
from tests.fault.definitions import STATIONARY
from tests.fault.memory import Growth, Memory
from tests.fault.servers import fault_servers
from tests.fault.soak_check import check_in_parts
from tests.fault.soak_faults import Faults
from tests.fault.supervised import Life
from tests.fault.world import USERS, World, fresh_world

RESULT = Path("soak.json")
MINUTES = 30.0
RATE = 2_000
PAUSE_S = 10
_SHOWN = 20


class Struck(NamedTuple):
    """One fault: when it began, how long it lasted, and how long after it everything up to then was done."""

    fault: str
    at_s: float
    lasted_s: float
    recovered_s: float


class Report(NamedTuple):
    """What a soak found. `steady_ended`: how the evaluator that nobody faulted ended by itself, each time."""

    seed: int
    minutes: float
    rate: int
    users: int
    records: int
    calls: int
    faults: list[Struck]
    steady_ended: list[Life]
    memory: list[Growth]
    differences: list[str]
    checked_s: float


def main() -> int:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of load and faults (default {MINUTES:g})")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30), help="repeats a run")
    parser.add_argument("--rate", type=int, default=RATE, help=f"events a second (default {RATE})")
    parser.add_argument(
        "--users", type=int, default=USERS, help=f"few reach the bounds of their states (default {USERS})"
    )
    parser.add_argument("--spare", action="append", default=[], metavar="FAULT", help="leave one out, by its name")
    asked = parser.parse_args()
    print(f"soak: {asked.minutes:g} min, {asked.rate:,} events/s of {asked.users} users, seed {asked.seed}", flush=True)
    with fault_servers() as servers, fresh_world(servers, asked.seed) as world:
        found = soak(world, asked.minutes, asked.rate, asked.users, asked.spare)
    print(summary(found))
    RESULT.write_text(json.dumps(_as_json(found), indent=1))
    print(f"written to {RESULT}")
    return 1 if found.differences else 0


def soak(world: World, minutes: float, rate: int, users: int, spared: Sequence[str]) -> Report:
    """Load and faults (but the `spared`) for so many minutes, then the check."""
    steady = world.new_evaluator(supervised=True)  # never faulted itself, so that its memory can be watched for long
    victims = [world.new_evaluator(supervised=True) for _ in range(2)]
    for worker in (steady, *victims):
        worker.await_ready()
    world.activate(STATIONARY)
    faults, struck, memory = Faults(world, victims, spared), list[Struck](), Memory(lambda: _running(world))
    world.load(rate, users)
    memory.start()
    try:
        for one in _strike(world, faults, 60 * minutes):
            struck.append(one)
            print(
                f"  {one.at_s:6.0f} s  {one.fault:<16} {one.lasted_s:5.1f} s, done after {one.recovered_s:.1f} s",
                flush=True,
            )
        growths, began_s = memory.stop(), time.monotonic()
        verdict = check_in_parts(world, faults.poisoned).besides(*faults.wrong)
    except Exception:  # noqa: BLE001 - what was found so far is told too
        growths, began_s = memory.stop(), time.monotonic()
        verdict = Verdict(0, [*faults.wrong, traceback.format_exc()])
    checked_s = time.monotonic() - began_s
    return Report(
        world.seed,
        minutes,
        rate,
        users,
        verdict.records,
        len(world.answers),
        struck,
        steady.lives,
        growths,
        verdict.differences,
        checked_s,
    )


def summary(found: Report) -> str:
    """The report for a person."""
    counted = f"{found.records:,} records, {found.calls:,} calls, {len(found.faults)} faults"
    lines = [
        f"{counted}, {len(found.differences)} differences",
        f"  seed {found.seed}; every user compared with the naive oracle, in {found.checked_s:.0f} s",
        "  fault             times  everything done after it, s (median, longest)",
    ]
    for fault in sorted({one.fault for one in found.faults}):
        recovered = [one.recovered_s for one in found.faults if one.fault == fault]
        lines.append(f"  {fault:<17} {len(recovered):>5}  {statistics.median(recovered):6.1f} {max(recovered):6.1f}")
    lines += [f"  the steady evaluator ended with {code}: {line}" for code, line in found.steady_ended]
    lines.append(
        "  process           pid  lived, min  MiB from    to  peak  floor MiB/h (least of each minute but the first)"
    )
    lines += [
        f"  {one.name:<12} {one.pid:>8}  {one.lived_s / 60:10.1f}  {one.first_mib:8.0f} {one.last_mib:5.0f}"
        f" {one.peak_mib:5.0f}  {one.floor_mib_h:+.0f}"
        for one in found.memory
        if one.floor_mib_h is not None
    ]
    lines += found.differences[:_SHOWN]
    return "\n".join(lines)


def _strike(world: World, faults: Faults, for_s: float) -> Iterator[Struck]:
    began_s = time.monotonic()
    for name, fault in faults.endless():
        world.at_random(PAUSE_S)
        at_s = time.monotonic()
        if at_s - began_s >= for_s:
            return
        fault()
        lasted_s = time.monotonic() - at_s
        yield Struck(name, at_s - began_s, lasted_s, world.await_recovery())


def _running(world: World) -> list[tuple[str, int | None]]:
    servers = world.servers
    named = [("kafka", servers.kafka.pid), ("valkey", servers.valkey.pid), ("postgres", servers.postgres.pid)]
    return [*named, *((process.name, process.pid) for process in list(world.processes))]


def _as_json(found: Report) -> dict[str, object]:
    return found._asdict() | {
        "faults": [one._asdict() for one in found.faults],
        "steady_ended": [one._asdict() for one in found.steady_ended],
        "memory": [one._asdict() for one in found.memory],
    }


if __name__ == "__main__":
    raise SystemExit(main())
