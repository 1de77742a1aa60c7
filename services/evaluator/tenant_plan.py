"""The plan of one tenant with what the evaluator derives from it."""

from collections.abc import Iterable
from typing import NamedTuple

from services.evaluator.growing import only_grows
from shared.domain.plan import Activation, EventPlan, Plan, compile_plan


class Touched(NamedTuple):
    """What an event of one type touches; `bit` stands for the type in `User.settled`."""

    bit: int
    plan: EventPlan


class TenantPlan:
    """A compiled plan. Each compilation is an object of its own, so identity tells whether a plan is still the same.

    touched: by event type. growing: the segments that one more event can only make true or keep true for longer.
    """

    __slots__ = ("growing", "plan", "segments", "touched")

    def __init__(self, activations: Iterable[Activation]) -> None:
        followed = list(activations)
        self.plan: Plan = compile_plan(followed)
        self.segments = self.plan.segments
        types = enumerate(self.plan.by_event_type.items())
        self.touched = {event_type: Touched(1 << i, plan) for i, (event_type, plan) in types}
        self.growing = frozenset(a.segment_id for a in followed if a.serving and only_grows(a.definition))
