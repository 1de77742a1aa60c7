"""Case 17: the disk of the history is full. The exporter says so, shows nothing half written, and goes on when there is
room again; meanwhile everything else works.
"""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fault.check import Verdict, check
from tests.fault.history import wrong_rows
from tests.fault.readiness import await_no_trouble, await_trouble
from tests.fault.registry import case
from tests.fault.world import RATE, World

SMALL, LARGE = "1m", "512m"
NOTICED_S = 90


@case(17, "the disk of the history is full, and then has room again")
def disk_full(world: World) -> Verdict:
    with _tmpfs(world.history, SMALL) as resize:
        world.new_evaluator().await_ready()
        world.activate()
        exporter = world.new_exporter().await_ready()
        world.load()
        said = await_trouble(exporter, "history", "No space left", NOTICED_S)
        world.await_progress(2 * RATE)  # nobody else waits for the exporter
        found = [f"while the disk is full: {line}" for line in wrong_rows(world)]
        resize(LARGE)
        await_no_trouble(exporter, "history")
        world.await_recovery()
        verdict = check(world)
    ends = [life.last_line for life in exporter.lives]
    return verdict.besides(*found, *ends, note=f"{said!r}")


@contextlib.contextmanager
def _tmpfs(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """The folder as a file system of its own, of that size; gives what changes it."""

    def resize(to: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={to}", str(folder)], check=True)

    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
