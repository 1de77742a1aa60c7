"""What a packed value says at an instant."""

import pytest

from services.api.membership import SUCCESSOR_US, Membership, entered_at, membership_at
from shared.contracts.redis_keys import COMING, NEVER, SOFT, MembershipRecord, pack_records

T = 1_000_000
ALL = frozenset(range(100))


@pytest.mark.parametrize(
    ("flags", "now", "member", "stale"),
    [
        (0, T - 1, True, False),
        (0, T, False, False),
        (COMING, T - 1, False, False),
        (0, T + SUCCESSOR_US + 1, False, False),
        (COMING, T, True, False),
        (COMING, T + SUCCESSOR_US, True, False),
        (COMING, T + SUCCESSOR_US + 1, True, True),
        (SOFT, T - 1, True, False),
        (SOFT, T, True, True),
        (SOFT | COMING, T - 1, False, False),
        (SOFT | COMING, T, False, True),
    ],
)
def test_a_turn_happens_exactly_at_its_instant_and_a_soft_one_not_by_itself(
    flags: int, now: int, member: bool, stale: bool
) -> None:
    found = membership_at(pack_records([MembershipRecord(7, 0, T, flags)]), now, ALL)
    assert (found.segment_ids, found.stale) == ([7] if member else [], stale)


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([(NEVER, 0)], None),
        ([(T + 5, 0), (T + 3, COMING)], T + 3),
        ([(T + 5, 0), (T + 9, SOFT)], T + 5),
        ([(T + 5, 0), (T + 3, SOFT)], None),
        ([(T - 1, 0), (T + 3, 0)], T + 3),
        ([(T - 1, 0)], None),
        ([(T - 1, SOFT), (T + 3, 0)], None),
    ],
)
def test_the_next_change_is_named_only_when_it_is_known_exactly(
    turns: list[tuple[int, int]], expected: int | None
) -> None:
    records = [MembershipRecord(n, 0, turns_at, flags) for n, (turns_at, flags) in enumerate(turns)]
    assert membership_at(pack_records(records), T, ALL).next_change_at == expected


def test_segments_that_are_not_asked_for_say_nothing() -> None:
    records = [MembershipRecord(3, 0, NEVER, 0), MembershipRecord(1, 0, NEVER, 0), MembershipRecord(2, 0, T, SOFT)]
    value = pack_records(records)
    assert membership_at(value, T, frozenset({3, 1})) == Membership([1, 3], stale=False, next_change_at=None)
    assert membership_at(None, T, ALL) == Membership([], stale=False, next_change_at=None)


def test_who_came_in_by_time_entered_at_the_turn() -> None:
    records = [MembershipRecord(7, T, NEVER, 0), MembershipRecord(8, 0, T + 5, COMING)]
    assert entered_at(pack_records(records)) == {7: T, 8: T + 5}
    assert entered_at(b"") == {}
