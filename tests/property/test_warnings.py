"""Warnings against the oracle: a formula says what its definition says, and what is proved never shows otherwise."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.domain import certainty, formula, value_choice
from shared.domain.definition import parse_definition
from shared.domain.definition_warnings import definition_warnings
from shared.domain.event import Event
from shared.domain.formula import Formula, Within, both_of
from tests.support import oracle
from tests.support.formulas import says
from tests.support.strategies import definitions, logs, telling

Check = Callable[[dict[str, Any], list[Event]], None]


def instants(definition: dict[str, Any], log: list[Event]) -> Iterator[tuple[list[Event], int]]:
    """The events that count and an instant: none, after every event, and wherever time alone may turn something."""
    yield [], log[0].received_at
    for number, event in enumerate(log, 1):
        yield oracle.counted(log[:number]), event.received_at
    counted, last = oracle.counted(log), log[-1].received_at
    for instant in oracle.candidates(definition, counted):
        yield from ((counted, near) for near in (instant - 1, instant) if near >= last)


def part_at(definition: dict[str, Any], path: str) -> dict[str, Any]:
    """The item at a JSON path."""
    for index in path.removeprefix("$").split(".conditions")[1:]:
        definition = definition["conditions"][int(index.strip("[]"))]
    return definition


def check_formula(definition: dict[str, Any], log: list[Event]) -> None:
    both = both_of(parse_definition(definition))
    for counted, as_of in instants(definition, log):
        member = oracle.member(definition, counted, as_of)
        assert says(both.formula, counted, as_of) is member
        assert says(both.opposite, counted, as_of) is not member


def check_certainty(definition: dict[str, Any], log: list[Event]) -> None:
    for path, message in definition_warnings(parse_definition(definition)):
        if " true" not in message:
            continue
        part, always = part_at(definition, path), " always true" in message
        for counted, as_of in instants(definition, log):
            assert oracle.member(part, counted, as_of) is always, path


@settings(max_examples=1_000)
@given(st.one_of(definitions, telling()), logs(max_size=6))
def test_a_formula_says_what_its_definition_says(definition: dict[str, Any], log: list[Event]) -> None:
    check_formula(definition, log)


@settings(max_examples=2_000)
@given(telling(), logs(max_size=6))
def test_what_is_proved_of_a_definition_never_shows_otherwise(definition: dict[str, Any], log: list[Event]) -> None:
    check_certainty(definition, log)


def an_average_in_whole_steps(item: Any, *, holds: bool) -> Formula:
    """Nothing between two values of 1e-6: `gt 5` and `lt 5.000001` at once are found to exclude each other."""
    return monetary(msgspec.structs.replace(item, metric="max") if item.metric == "avg" else item, holds=holds)


monetary = formula._monetary


def always_a_number(number: Any, spans: Any, *, holds: bool = True) -> Formula:
    """A maximum that is not above 5 taken for one that is at most 5, though there may be none."""
    right = within(number, spans, holds=holds)
    return msgspec.structs.replace(right, or_none=False) if isinstance(right, Within) else right


within = formula.within


def more_pass_more_filters(counts: dict[Any, Any]) -> bool:
    """As many events as pass filters taken for all there are."""
    return counts_agree({msgspec.structs.replace(number, filters=()): spans for number, spans in counts.items()})


counts_agree = certainty._counts_agree


def shorter_windows_hold_more(counts: dict[Any, Any]) -> bool:
    """Windows compared the wrong way round."""
    return counts_agree({msgspec.structs.replace(n, window_us=-n.window_us): spans for n, spans in counts.items()})


def every_sum_needs_an_event(atom: Any) -> Iterator[Any]:
    """A sum of 0 taken for one of numbers."""
    if isinstance(atom, Within) and atom.number.kind == "sum":
        return implied(msgspec.structs.replace(atom, spans=((1, 2),)))
    return implied(atom)


implied = certainty._implied


def unlike_is_any_other(test: Any) -> Any:
    """`neq` true of whatever is not equal, missing values and other types too."""
    wanted = normal(test)
    if wanted.test.operator != "not_in":
        return wanted
    return value_choice.Wanted(msgspec.structs.replace(wanted.test, operator="in"), not wanted.holds)


normal = value_choice.normal

WRONG: list[tuple[Any, str, Any, Check]] = [
    (formula, "_monetary", an_average_in_whole_steps, check_formula),
    (formula, "within", always_a_number, check_formula),
    (formula, "normal", unlike_is_any_other, check_formula),
    (formula, "within", always_a_number, check_certainty),
    (certainty, "_counts_agree", more_pass_more_filters, check_certainty),
    (certainty, "_counts_agree", shorter_windows_hold_more, check_certainty),
    (certainty, "_implied", every_sum_needs_an_event, check_certainty),
]


def find_a_fault(check: Check) -> None:
    """A property, from the same seed each time: it must find the fault every time it is run."""

    @settings(max_examples=2_000, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(telling(), logs(min_size=3, max_size=8))
    def holds(definition: dict[str, Any], log: list[Event]) -> None:
        check(definition, log)

    holds()


@pytest.mark.parametrize(
    ("module", "name", "wrong", "check"), WRONG, ids=[f"{wrong.__name__}-{c.__name__}" for _, _, wrong, c in WRONG]
)
def test_a_wrong_proof_is_found_out(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: Any, check: Check
) -> None:
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        find_a_fault(check)
