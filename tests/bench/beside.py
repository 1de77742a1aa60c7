"""Two checkouts in one run: event -> lookup, measured alternately, each against an installation of its own code."""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local.installation import ROOT
from tests.bench.latency import COUNT, RATE, Latency
from tests.bench.measure import percentile, spread
from tests.support.local_runner import LocalRunner, free_port_base

ROUNDS = 5

Figures = dict[str, dict[str, list[float]]]
"""Checkout -> name of a percentile -> its values in milliseconds, one of each round."""


def compare(checkouts: dict[str, Path], rate: int = RATE, rounds: int = ROUNDS) -> Figures:
    """Start an installation of each checkout, by name, and measure them in turn, `rounds` times."""
    with contextlib.ExitStack() as stack:
        connections = {name: stack.enter_context(installed(root)) for name, root in checkouts.items()}
        return asyncio.run(_alternately(connections, rate, rounds))


def table(figures: Figures, rate: int = RATE) -> str:
    """The figures for a person."""
    lines = [f"event -> lookup over REST, rounds of {COUNT:,} events at {rate}/s in turn, milliseconds (median, range)"]
    for name, found in figures.items():
        told = "   ".join(f"{share} {spread(values, 1)}" for share, values in found.items())
        lines.append(f"  {name:<8} {told}")
    return "\n".join(lines)


@contextlib.contextmanager
def installed(root: Path = ROOT, **settings: str) -> Iterator[dict[str, Any]]:
    """The connection of an installation of this code and these settings, which runs until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        runner = LocalRunner(Path(folder), free_port_base(), root, **settings)
        runner.up("--no-demo")
        try:
            yield runner.connection()
        finally:
            runner.end(signal.SIGTERM)


async def _alternately(connections: dict[str, dict[str, Any]], rate: int, rounds: int) -> Figures:
    figures: Figures = {name: {"p50": [], "p99": []} for name in connections}
    async with aiohttp.ClientSession() as session:
        measuring = {name: Latency(connection, session) for name, connection in connections.items()}
        for latency in measuring.values():
            await latency.prepare(rounds * COUNT, rate)
        for _ in range(rounds):
            for name, latency in measuring.items():
                seconds = await latency.rest(COUNT, rate)
                for percent, values in zip((0.5, 0.99), figures[name].values(), strict=True):
                    values.append(1000 * percentile(seconds, percent))
    return figures
