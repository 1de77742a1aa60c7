"""The plan of one tenant with what the evaluator derives from it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from services.evaluator.growing import only_grows, sums
from shared.domain.aggregate import aggregate_of
from shared.domain.compiled_segment import Activation, slot_key
from shared.domain.plan import EventPlan, Plan, compile_plan
from shared.domain.user_state import Slots


class Touched(NamedTuple):
    """What an event of one type touches.

    bit: stands for the type in `User.settled`. sums: the slots whose numbers must not be negative for `settled` to
    hold.
    """

    bit: int
    plan: EventPlan
    sums: tuple[str, ...]

    def grew(self, slots: Slots) -> bool:
        """Whether no number added to the sums so far is negative."""
        for key in self.sums:
            totals = slots.get(key)
            if totals is not None and totals[0] and totals[3] < 0:  # count, sum, max, min
                return False
        return True


class TenantPlan:
    """A compiled plan. Each compilation is an object of its own, so identity tells whether a plan is still the same.

    touched: by event type; `other` for the types that nothing names. growing: the segments that one more event can only
    make true or keep true for longer.
    """

    __slots__ = ("growing", "other", "plan", "segments", "touched")

    def __init__(self, activations: Iterable[Activation]) -> None:
        followed = list(activations)
        self.plan: Plan = compile_plan(followed)
        self.segments = self.plan.segments
        growing = [a for a in followed if a.serving and only_grows(a.definition)]
        self.growing = frozenset(activation.segment_id for activation in growing)
        summed: dict[str, set[str]] = defaultdict(set)
        for activation in growing:
            for condition in sums(activation.definition):
                summed[condition.event_type].add(slot_key(aggregate_of(condition), activation.since))
        types = enumerate(self.plan.by_event_type.items(), 1)
        self.touched = {name: Touched(1 << i, plan, tuple(sorted(summed[name]))) for i, (name, plan) in types}
        self.other = Touched(1, self.plan.other, ()) if self.plan.other.slots else None
