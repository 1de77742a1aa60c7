"""What a guard is: the case that fails without it, and how it is taken away."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.fault.registry import Case


class Guard(NamedTuple):
    """One guard: its name, the case that needs it (and a part of its title), and the patch that takes it away.

    The patch stands before the start of every api of the case if it names `services.api`, else before that of every
    evaluator and exporter.
    """

    name: str
    case: int
    variant: str
    patch: str

    def needed_by(self, cases: Sequence[Case]) -> Case:
        """The case that must find differences."""
        return next(case for case in cases if case.number == self.case and self.variant in case.title)
