"""The properties are worth something: each of these kernels, wrong in one place, is found out by them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.domain import aggregate, condition_verdict, evaluate, newest_times, plan
from shared.domain.aggregate import Verbs
from shared.domain.condition import Recency
from shared.domain.condition_verdict import Verdict
from shared.domain.evaluate import Answers
from shared.domain.event import Event
from shared.domain.pairs import pairs_verbs
from shared.domain.user_state import NEVER, Slots
from tests.support.properties import check_every_step
from tests.support.strategies import definitions, logs, sharing_conditions


def edge_belongs_to_the_window(key: str, needed: int, window: int, *, inside: bool) -> Verdict:
    """`>=` for `>` at the edge of a window."""
    right = condition_verdict_at_least(key, needed, window, inside=inside)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        member, turn = right(slots, as_of - 1)
        return member, turn if turn == NEVER else turn + 1

    return verdict


condition_verdict_at_least = condition_verdict._at_least


def turn_of_gt_at_the_window(condition: Recency, key: str) -> Verdict:
    """An age just over W is met a microsecond after W, not at W."""
    right = condition_verdict_recency(condition, key)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        member, turn = right(slots, as_of)
        return member, turn - 1 if condition.operator == "gt" and turn != NEVER else turn

    return verdict


condition_verdict_recency = condition_verdict._recency


def first_turn_of_any_child(group: Any, children: tuple[Answers, ...]) -> Verdict:
    """A group looked at again whenever a condition turns, though its own answer stays."""
    right = evaluate_group(group, children)

    def verdict(slots: Slots, as_of: int) -> tuple[bool, int]:
        return right(slots, as_of)[0], min(child.verdict(slots, as_of)[1] for child in children)

    return verdict


evaluate_group = evaluate._group_verdict


def pairs_of_the_shortest_window(name: str, windows: tuple[int, ...]) -> Verbs:
    """Pairs dropped that a longer window still reaches."""
    return pairs_verbs(name, windows[:1])


def late_events_are_lost(partial: list[int], occurred_at: int, start: int) -> None:
    """A late event that is not inserted where it belongs."""


def one_time_too_few(operator: str, value: int) -> int:
    """N newest times, where N + 1 decide."""
    return value - 1  # the slot keeps one to spare


def cut_off_digits(value: float) -> int | None:
    """1e-6 units cut off instead of rounded half-even."""
    return int(value * 1e6) if abs(value) < 1e15 else None


def booleans_are_numbers(name: str) -> Callable[[dict[str, Any]], int | None]:
    """`true` counted as 1."""
    return lambda payload: (
        int(payload[name] * 1_000_000) if isinstance(payload.get(name), int) and abs(payload[name]) < 10**15 else None
    )


WRONG: list[tuple[Any, str, Any]] = [
    (condition_verdict, "_at_least", edge_belongs_to_the_window),
    (condition_verdict, "_recency", turn_of_gt_at_the_window),
    (evaluate, "_group_verdict", first_turn_of_any_child),
    (plan, "pairs_verbs", pairs_of_the_shortest_window),
    (newest_times, "insort", late_events_are_lost),
    (plan, "newest_needed", one_time_too_few),
    (aggregate, "to_micro_units", cut_off_digits),
    (aggregate, "number_reader", booleans_are_numbers),
]


alone = sharing_conditions.map(lambda items: [{"logic": "AND", "conditions": [item]} for item in items])


def find_a_fault() -> None:
    """The main properties, from the same seed each time: they must find the fault every time they are run."""

    @settings(max_examples=2_000, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(st.one_of(definitions.map(lambda definition: [definition]), alone), logs())
    def holds(definitions: list[dict[str, Any]], log: list[Event]) -> None:
        check_every_step(definitions, [0] * len(definitions), log)

    holds()


@pytest.mark.parametrize(("module", "name", "wrong"), WRONG, ids=[wrong.__name__ for _, _, wrong in WRONG])
def test_a_wrong_kernel_is_found_out(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: Any) -> None:
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        find_a_fault()
