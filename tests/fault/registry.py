"""The cases by number. A case is one file in `tests/fault/cases`, found by its name."""

import functools
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fault.check import Verdict
from tests.fault.world import World

Run = Callable[[World], Verdict]
VariantRun = Callable[[World, str], Verdict]


class Case(NamedTuple):
    """One row of the table: a fault, or one variant of it."""

    number: int
    title: str
    run: Run
    on_cluster: bool = False
    """Whether it wants three nodes of Kafka, its `world.servers.cluster`, instead of the one of all cases."""


_cases: list[Case] = []


def case(number: int, title: str, *, on_cluster: bool = False) -> Callable[[Run], Run]:
    """Register a case."""

    def register(run: Run) -> Run:
        _cases.append(Case(number, title, run, on_cluster))
        return run

    return register


def case_of(number: int, title: str, variants: Sequence[str]) -> Callable[[VariantRun], VariantRun]:
    """Register a case with variants, each on a world of its own and a row of its own."""

    def register(run: VariantRun) -> VariantRun:
        _cases.extend(
            Case(number, f"{title}: {variant}", functools.partial(run, variant=variant))  # type: ignore[call-arg]
            for variant in variants
        )
        return run

    return register


def all_cases() -> list[Case]:
    """Every case, by number; variants in their order."""
    for file in sorted((Path(__file__).parent / "cases").glob("case_*.py")):
        importlib.import_module(f"tests.fault.cases.{file.stem}")
    return sorted(_cases, key=lambda case: case.number)
