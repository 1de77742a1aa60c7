"""What is kept of a sequence, up to its bound and beyond, and what two users' parts say together."""

from typing import Any

import pytest

from shared.domain.aggregate import Verbs
from shared.domain.condition import EventSequence, Step
from shared.domain.event import Event
from shared.domain.sequence import LIMIT, sequence_verbs
from shared.domain.user_state import Partial

ENTRY = 3
FOREVER = 10**15
FOUND_ONCE, NOT_FOUND = 1, 0


def verbs_of(*event_types: str, strict: bool = False, window: int = FOREVER) -> Verbs:
    return sequence_verbs(EventSequence(tuple(map(Step, event_types)), window, strict))


def event(event_type: str, time: int, offset: int | None = None) -> Event:
    return Event("u", event_type, time, max(time, 10**9), time if offset is None else offset, {})


def seen(verbs: Verbs, *events: Event) -> Partial:
    partial = verbs.zero()
    for each in events:
        verbs.add(partial, each)
    return partial


def times(partial: Partial, steps: int = 2) -> list[Any]:
    """The times of the events that are kept."""
    return partial[2 + steps - 1 :: ENTRY]


def many(event_type: str, first: int, count: int) -> list[Event]:
    return [event(event_type, time) for time in range(first, first + count)]


def test_up_to_the_bound_every_event_is_kept_and_nothing_is_counted_as_lost() -> None:
    partial = seen(verbs_of("view", "cart"), *many("view", 1, LIMIT))
    assert times(partial) == list(range(1, LIMIT + 1))
    assert partial[:2] == [NOT_FOUND, 0]


@pytest.mark.parametrize("strict", [False, True])
def test_beyond_the_bound_the_oldest_are_dropped_and_counted(strict: bool) -> None:
    partial = seen(verbs_of("view", "cart", strict=strict), *many("view", 1, LIMIT + 7))
    assert times(partial) == list(range(8, LIMIT + 8))
    assert partial[:2] == [NOT_FOUND, 7]


def test_a_late_event_older_than_the_oldest_kept_is_passed_over_and_counted() -> None:
    verbs = verbs_of("view", "cart")
    partial = seen(verbs, *many("cart", 1_000, LIMIT + 1))
    verbs.add(partial, event("view", 1_000, 10**6))  # between the one dropped and the oldest kept
    verbs.add(partial, event("view", 1))
    assert times(partial) == list(range(1_001, LIMIT + 1_001))
    assert partial[:2] == [NOT_FOUND, 3]


def test_a_late_event_older_than_all_is_kept_while_nothing_was_dropped() -> None:
    verbs = verbs_of("view", "cart", "order")
    partial = seen(verbs, *many("cart", 1_000, LIMIT - 1))
    verbs.add(partial, event("view", 1))
    assert times(partial, 3)[:2] == [1, 1_000]
    assert partial[1] == 0
    verbs.add(partial, event("order", 10_000))
    assert partial == [FOUND_ONCE, 0]


def test_at_the_bound_the_oldest_makes_room_for_a_late_event_in_the_middle() -> None:
    verbs = verbs_of("view", "cart")
    partial = seen(verbs, *many("cart", 1_000, LIMIT))
    verbs.add(partial, event("cart", 2_000, 10**6))
    assert partial[:2] == [NOT_FOUND, 1]
    assert times(partial) == sorted([*range(1_001, LIMIT + 1_000), 2_000])


def test_a_late_event_completes_a_sequence_at_the_bound() -> None:
    verbs = verbs_of("view", "cart")
    partial = seen(verbs, *many("cart", 1_000, LIMIT + 5))
    verbs.add(partial, event("view", 2_000, 10**6))
    assert partial == [FOUND_ONCE, 5]


def test_a_sequence_that_is_not_strict_keeps_one_bit_and_what_was_lost_once_it_is_true() -> None:
    verbs = verbs_of("view", "cart")
    partial = seen(verbs, event("view", 1), event("cart", 2))
    assert partial == [FOUND_ONCE, 0]
    verbs.add(partial, event("cart", 3))
    verbs.add(partial, event("view", 1, 10**6))
    assert partial == [FOUND_ONCE, 0]
    assert seen(verbs, *many("view", 1, LIMIT + 2), event("cart", 10_000)) == [FOUND_ONCE, 2]


def test_a_strict_sequence_keeps_its_events_when_true_because_a_late_one_may_turn_it_false() -> None:
    verbs = verbs_of("view", "cart", strict=True)
    partial = seen(verbs, event("view", 1), event("cart", 3))
    assert partial[0] == FOUND_ONCE
    assert times(partial) == [1, 3]
    verbs.add(partial, event("search", 2))
    assert partial[0] == NOT_FOUND
    assert times(partial) == [1, 2, 3]


def test_events_of_other_types_take_no_room_unless_they_may_interrupt() -> None:
    others = [event("search", 2), event("context_identified", 3)]
    assert times(seen(verbs_of("view", "cart"), event("view", 1), *others)) == [1]
    assert times(seen(verbs_of("view", "cart", strict=True), event("view", 1), *others)) == [1, 2]


@pytest.mark.parametrize("strict", [False, True])
def test_merging_joins_the_events_of_both(strict: bool) -> None:
    verbs = verbs_of("view", "cart", "order", strict=strict)
    one, other = [event("view", 1), event("order", 3)], [event("cart", 2)]
    assert verbs.merge(seen(verbs, *one), seen(verbs, *other)) == seen(verbs, *one, *other)
    assert verbs.merge(seen(verbs, *other), seen(verbs, *one))[0] == FOUND_ONCE


def test_merging_lets_one_interrupt_the_other() -> None:
    verbs = verbs_of("view", "cart", strict=True)
    one, other = seen(verbs, event("view", 1), event("cart", 3)), seen(verbs, event("search", 2))
    assert verbs.merge(one, other)[0] == verbs.merge(other, one)[0] == NOT_FOUND


def test_merging_with_one_that_is_true_is_true_and_adds_what_was_lost() -> None:
    verbs = verbs_of("view", "cart")
    true = seen(verbs, *many("view", 1, LIMIT + 2), event("cart", 10_000))
    other = seen(verbs, *many("cart", 20_000, LIMIT + 3))
    assert verbs.merge(true, other) == verbs.merge(other, true) == [FOUND_ONCE, 5]


def test_merging_beyond_the_bound_drops_the_oldest_and_counts_them() -> None:
    verbs = verbs_of("view", "cart", strict=True)
    one, other = seen(verbs, *many("cart", 1, 3_000)), seen(verbs, *many("cart", 5_000, 3_000))
    for both in (verbs.merge(one, other), verbs.merge(other, one)):
        assert times(both) == [*range(6_000 - LIMIT + 1, 3_001), *range(5_000, 8_000)]
        assert both[:2] == [NOT_FOUND, 6_000 - LIMIT]


def test_merging_with_nothing_and_with_itself_changes_nothing() -> None:
    verbs = verbs_of("view", "cart")
    partial = seen(verbs, event("cart", 1), event("view", 2))
    assert verbs.merge(partial, verbs.zero()) == verbs.merge(verbs.zero(), partial) == partial
    assert verbs.merge(partial, partial) == partial


def test_the_window_counts_in_a_merge() -> None:
    verbs = verbs_of("view", "cart", window=10)
    assert verbs.merge(seen(verbs, event("view", 1)), seen(verbs, event("cart", 11)))[0] == FOUND_ONCE
    assert verbs.merge(seen(verbs, event("view", 1)), seen(verbs, event("cart", 12)))[0] == NOT_FOUND
