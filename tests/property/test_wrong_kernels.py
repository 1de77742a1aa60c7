"""The properties are worth something: each of these kernels, wrong in one place, is found out by them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from shared.domain.event import Event
from tests.support.dense import dense_definitions, dense_logs
from tests.support.properties import check_every_step, check_merge, check_what_is_not_asked
from tests.support.strategies import alone, definitions, logs, sharing_conditions
from tests.support.themes import EXAMPLES, THEMES, Theme
from tests.support.wrong_kernels import (
    IN_A_GROUP,
    IN_A_MERGE,
    ON_A_THEME,
    WHAT_IS_NOT_ASKED,
    WHERE_CONDITIONS_SHARE,
    Wrong,
)

Check = Callable[[], None]

no_shrinking = settings(
    derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False, max_examples=2_000
)
"""From the same seed each time: the fault must be found every time."""


def on_a_theme(name: str) -> Check:
    @settings(no_shrinking, max_examples=EXAMPLES)
    @given(THEMES[name])
    def check(theme: Theme) -> None:
        check_every_step(theme[0], [0] * len(theme[0]), theme[1])

    return check


@no_shrinking
@given(definitions, logs())
def on_any_definition(definition: dict[str, Any], log: list[Event]) -> None:
    check_every_step([definition], [0], log)


@settings(no_shrinking, max_examples=500)
@given(sharing_conditions, logs())
def on_conditions_that_share(conditions: list[dict[str, Any]], log: list[Event]) -> None:
    check_every_step(alone(conditions), [0] * len(conditions), log)


@settings(no_shrinking, max_examples=500)
@given(definitions, logs(min_size=0, max_size=6), logs(max_size=6))
def in_a_merge(definition: dict[str, Any], one: list[Event], other: list[Event]) -> None:
    check_merge(definition, one, other)


@no_shrinking
@given(dense_definitions, dense_logs)
def what_is_not_asked(followed: list[dict[str, Any]], log: list[Event]) -> None:
    check_what_is_not_asked(followed, log)


FAULTS: list[tuple[str, Wrong, Check]] = [
    (what, wrong, check)
    for faults, check in (
        *((faults, on_a_theme(name)) for name, faults in ON_A_THEME.items()),
        (IN_A_GROUP, on_any_definition),
        (WHERE_CONDITIONS_SHARE, on_conditions_that_share),
        (IN_A_MERGE, in_a_merge),
        (WHAT_IS_NOT_ASKED, what_is_not_asked),
    )
    for what, wrong in faults.items()
]


@pytest.mark.parametrize(("wrong", "check"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_wrong_kernel_is_found_out(monkeypatch: pytest.MonkeyPatch, wrong: Wrong, check: Check) -> None:
    monkeypatch.setattr(wrong.module, wrong.name, wrong.wrong)
    with pytest.raises(AssertionError):
        check()
