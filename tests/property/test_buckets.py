"""Beyond the bound of a list answers may be off by one bucket, 1/1024 of a window, at the trailing edge, never more."""

from bisect import bisect_right
from itertools import accumulate
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import bucket
from shared.domain.bucket import ALWAYS_EXACT, LIMIT
from shared.domain.event import Event
from shared.domain.plan import Plan, SlotPlan
from shared.domain.user_state import NEVER, Partial
from tests.support.kernel import fold_all, merged, plan_of

SECOND = 1_000_000
START = 1_700_000_000 * SECOND

Window = dict[str, Any]
WINDOWS: list[tuple[Window, int]] = [
    ({"window_minutes": 30}, 1_800 * SECOND),
    ({"window_hours": 2}, 7_200 * SECOND),
    ({"window_days": 1}, 86_400 * SECOND),
    ({"window_seconds": 0.000512}, 512),
]


def log(seed: int, size: int, step: int) -> list[Event]:
    """Events about `step` us apart, a tenth of them late by up to a hundred steps, now and then a long pause."""
    random, received_at, events = Random(seed), START, []
    for offset in range(size):
        received_at += random.randrange(2 * step) if random.random() > 0.001 else 500 * step
        late = random.randrange(100 * step) if random.random() < 0.1 else 0
        value = random.choice((1, 2, 0.5, -1))
        events.append(Event("u", "view", received_at - late, received_at, offset, {"v": value}))
    return events


def plan_for(windows: list[tuple[Window, int]]) -> Plan:
    count = {"type": "event_count", "event_type": "view", "operator": "gte"}
    total = {"type": "monetary", "event_type": "view", "property": "v", "metric": "sum", "operator": "gt", "value": 5}
    return plan_of(
        {"logic": "OR", "conditions": [count | {"value": value} | window, total | window]}
        for window, _ in windows
        for value in (50, 6_000)
    )


def slot_of(plan: Plan, kind: str) -> SlotPlan:
    return next(slot for slot in plan.slots.values() if slot.aggregate.kind == kind)


def check_counts(slot: SlotPlan, partial: Partial, times: list[int], as_of: int) -> None:
    """The number in each window is exact for some window longer by less than one bucket."""
    for window in slot.windows:
        exact = len(times) - bisect_right(times, as_of - window)
        longer = len(times) - bisect_right(times, as_of - window - window // 1024)
        assert exact <= slot.verbs.value(partial, as_of, window) <= longer


def check_totals(slot: SlotPlan, partial: Partial, pairs: list[tuple[int, int]], as_of: int) -> None:
    """Sum and number in each window are those of a window longer by less than one bucket."""
    times = [time for time, _ in pairs]
    suffixes = list(accumulate((value for _, value in reversed(pairs)), initial=0))
    for window in slot.windows:
        first = bisect_right(times, as_of - window - window // 1024)
        last = bisect_right(times, as_of - window)
        allowed = [(left, suffixes[left]) for left in range(len(times) - last, len(times) - first + 1)]
        totals = slot.verbs.value(partial, as_of, window)
        assert (totals.numbers, totals.sum) in allowed


@settings(max_examples=12)
@given(
    st.integers(0, 1_000_000),
    st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=3, unique_by=lambda window: window[1]),
    st.sampled_from((1, 50_000, SECOND, 10 * SECOND)),
)
def test_answers_beyond_the_bound_are_off_by_less_than_one_bucket(
    seed: int, windows: list[tuple[Window, int]], step: int
) -> None:
    check_answers(seed, windows, step)


def test_buckets_eight_times_as_wide_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "PER_WINDOW", 128)
    with pytest.raises(AssertionError):
        check_answers(seed=1, windows=WINDOWS[1:2], step=SECOND)


def check_answers(seed: int, windows: list[tuple[Window, int]], step: int) -> None:
    """Counts and totals of a long log, at its end and as time passes."""
    plan, events = plan_for(windows), log(seed, 7_000, step)
    slots = fold_all(plan, events)
    times = sorted(event.occurred_at for event in events)
    pairs = sorted((event.occurred_at, round(event.payload["v"] * 1_000_000)) for event in events)
    counts, totals = slot_of(plan, "times"), slot_of(plan, "pairs")
    received = events[-1].received_at
    for as_of in (received, received + 1, *(received + part * step * 7_000 // 4 for part in (1, 2, 3, 5))):
        check_counts(counts, slots[counts.key], times, as_of)
        check_totals(totals, slots[totals.key], pairs, as_of)


@settings(max_examples=6)
@given(st.integers(0, 1_000_000), st.integers(1, 6_999), st.sampled_from((50_000, SECOND)))
def test_merged_lists_beyond_the_bound_are_off_by_less_than_one_bucket(seed: int, cut: int, step: int) -> None:
    plan, events = plan_for(WINDOWS[1:3]), log(seed, 7_000, step)
    slots = merged(plan, fold_all(plan, events[:cut]), fold_all(plan, events[cut:]))
    times = sorted(event.occurred_at for event in events)
    pairs = sorted((event.occurred_at, round(event.payload["v"] * 1_000_000)) for event in events)
    counts, totals = slot_of(plan, "times"), slot_of(plan, "pairs")
    check_counts(counts, slots[counts.key], times, events[-1].received_at)
    check_totals(totals, slots[totals.key], pairs, events[-1].received_at)


def test_a_slot_says_when_it_is_approximate_and_stays_within_its_bound() -> None:
    plan, events = plan_for(WINDOWS[1:2]), log(1, 12_000, 1_000)
    for size, approximate in ((LIMIT, False), (LIMIT + 1, True), (12_000, True)):
        slots = fold_all(plan, events[:size])
        for kind, entry in (("times", 1), ("pairs", 2)):
            slot = slot_of(plan, kind)
            assert slot.is_approximate(slots) is approximate
            singles = (len(slots[slot.key]) - 1 - slots[slot.key][0]) // entry
            assert (ALWAYS_EXACT if approximate else 0) <= singles <= LIMIT
    assert not slot_of(plan, "times").is_approximate({})


def test_a_threshold_within_the_exact_times_is_exact_beside_one_that_is_not() -> None:
    """`at least 50` and `at least 6,000` share a list: the first turns exactly when its 50th newest leaves."""
    plan, events = plan_for(WINDOWS[1:2]), log(2, 9_000, 100_000)
    slots, received = fold_all(plan, events), events[-1].received_at
    times, window = sorted(event.occurred_at for event in events), WINDOWS[1][1]
    few = {"type": "event_count", "event_type": "view", "operator": "gte", "value": 50, "window_hours": 2}
    many = few | {"value": 6_000}
    both = plan_of([{"logic": "AND", "conditions": [few]}, {"logic": "AND", "conditions": [many]}])
    assert both.slots.keys() <= plan.slots.keys()
    assert both.segments[1].verdict(slots, received) == (True, times[-50] + window)
    member, turn = both.segments[2].verdict(slots, received)
    assert member
    assert times[-6_000] + window <= turn <= times[-6_000] + window + window // 1024
    assert both.segments[2].verdict(slots, turn) == (False, NEVER)
