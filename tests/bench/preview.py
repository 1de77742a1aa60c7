"""How long a preview takes over the history, beside SQL written by hand over the same files.

The ratio is of CPU time: it does not move with what else the machine does.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb

from shared.domain.definition import parse_definition
from shared.history.compile_sql import preview_statement
from tests.bench.history_data import END_US, EVENTS, QUICK, TENANT, history_files, opened_history
from tests.bench.measure import spread
from tests.bench.preview_queries import QUERIES, Written, by_hand

SIZES = (QUICK, EVENTS)
ROUNDS = 5
MEMORY_MB = 600
GOAL = 1.2
LIMIT = 10

Figures = dict[str, dict[str, list[float]]]
"""Of each definition the milliseconds of ours and of the one by hand, and the ratios of their CPU times and of the
milliseconds; one of each round."""


def measure(sizes: Sequence[int] = SIZES, rounds: int = ROUNDS) -> dict[int, Figures]:
    """By the number of events what each definition took. Raises AssertionError when the two answers differ."""
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
            files = history_files(Path(folder), size)
            with opened_history(files, Path(folder) / "spilled", MEMORY_MB) as connection:
                found[size] = {what: _alternately(connection, written, rounds) for what, written in QUERIES.items()}
    return found


def table(found: dict[int, Figures]) -> str:
    """The figures for a person."""
    lines = [f"preview beside SQL by hand on the same files, in turn (median, range; goal: ratio of CPU <= {GOAL})"]
    for size, figures in found.items():
        lines.append(f"  {size:,} events, {MEMORY_MB} MB of memory")
        for what, values in figures.items():
            told = f"ours {spread(values['ours_ms'], 0)} ms   by hand {spread(values['by_hand_ms'], 0)} ms"
            ratios = f"ratio of CPU {spread(values['cpu_ratio'])}   of ms {spread(values['ratio'])}"
            lines.append(f"    {what:<30} {told}   {ratios}")
    return "\n".join(lines)


def _alternately(connection: duckdb.DuckDBPyConnection, written: Written, rounds: int) -> dict[str, list[float]]:
    definition = parse_definition(written.definition)
    hand = by_hand(written, LIMIT)

    def ours() -> Any:
        # putting the statement together is part of it
        statement = preview_statement(definition, TENANT, END_US, {}, LIMIT)
        return connection.execute(*statement).fetchone()

    def theirs() -> Any:
        return connection.execute(hand).fetchone()

    assert ours() == theirs(), written.definition
    values: dict[str, list[float]] = {"ours_ms": [], "by_hand_ms": [], "cpu_ratio": [], "ratio": []}
    for _ in range(rounds):
        (our_ms, our_cpu), (their_ms, their_cpu) = _took(ours), _took(theirs)
        for name, value in zip(values, (our_ms, their_ms, our_cpu / their_cpu, our_ms / their_ms), strict=True):
            values[name].append(value)
    return values


def _took(ask: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds, and CPU seconds of all threads."""
    begun, cpu = time.perf_counter(), time.process_time()
    ask()
    return 1_000 * (time.perf_counter() - begun), time.process_time() - cpu
