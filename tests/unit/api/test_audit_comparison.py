"""When two answers are held against each other, and when a difference is one."""

import pytest

from services.api.audit.comparison import SETTLED_AFTER_US, Reading, Suspect, compare, is_settled
from shared.contracts.redis_keys import COMING, NEVER, SOFT, MembershipRecord, pack_records

T = 1_000_000
READING = Reading(5, T, T + 7, "log", 100, {})


def reading(*records: MembershipRecord) -> Reading:
    return READING._replace(values={"ann": pack_records(records) if records else None})


@pytest.mark.parametrize(
    ("turns_at", "flags", "live"),
    [(NEVER, 0, True), (T + 1, 0, True), (T + 1, SOFT, True), (T + 1, COMING, False), (T + 1, COMING | SOFT, False)],
)
@pytest.mark.parametrize("by_history", [True, False])
def test_an_answer_differs_when_history_says_the_opposite(
    turns_at: int, flags: int, live: bool, by_history: bool
) -> None:
    found = compare(reading(MembershipRecord(7, 3, turns_at, flags)), {7: {"ann"} if by_history else set()})
    assert (found.checked, found.passed) == ({7: 1}, {7: 0})
    entered_at = 0 if flags & COMING else 3
    assert found.suspects == (set() if live is by_history else {Suspect("ann", 7, live, entered_at)})


def test_who_has_no_value_is_nowhere() -> None:
    assert compare(reading(), {7: {"ann"}, 8: ()}).suspects == {Suspect("ann", 7, live=False, entered_at=0)}


def test_only_the_segments_named_are_compared() -> None:
    found = compare(reading(MembershipRecord(7, 3, NEVER, 0), MembershipRecord(8, 3, NEVER, 0)), {8: {"ann"}})
    assert (found.checked, found.suspects) == ({8: 1}, frozenset())


@pytest.mark.parametrize("flags", [0, SOFT, COMING, SOFT | COMING])
@pytest.mark.parametrize("turns_at", [T - 1, T])
def test_past_a_stored_turn_nothing_is_compared(turns_at: int, flags: int) -> None:
    found = compare(reading(MembershipRecord(7, 3, turns_at, flags)), {7: {"ann"}, 8: ()})
    assert (found.checked, found.passed, found.suspects) == ({7: 0, 8: 1}, {7: 1, 8: 0}, frozenset())


LATER_US = T + 7 + SETTLED_AFTER_US


@pytest.mark.parametrize(
    ("later", "end_offset", "settled"),
    [
        (READING, 100, False),
        (READING._replace(next_offset=101), 101, True),
        (READING._replace(next_offset=101), 102, False),
        (READING._replace(next_offset=101, epoch=6), 101, False),
        (READING._replace(next_offset=101, log_epoch="another"), 101, False),
        (READING._replace(clock=LATER_US - 1), 100, False),
        (READING._replace(clock=LATER_US), 100, True),
        (READING._replace(clock=LATER_US), 101, False),
        (READING._replace(clock=LATER_US, epoch=6), 100, False),
    ],
)
def test_all_is_settled_when_the_same_owner_has_published_what_was_on_its_way(
    later: Reading, end_offset: int, settled: bool
) -> None:
    assert is_settled(READING, later, end_offset) is settled
