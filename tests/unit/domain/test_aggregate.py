"""Aggregates: their frozen identities, and their four verbs."""

from typing import Any

import pytest

from shared.domain.aggregate import Aggregate, Totals, Verbs, count_verbs, newest_verbs, totals_verbs
from shared.domain.event import Event
from shared.domain.newest_times import times_verbs
from shared.domain.pairs import pairs_verbs


def event(at: int, payload: dict[str, Any] | None = None, received_at: int | None = None) -> Event:
    return Event("u", "view", at, at if received_at is None else received_at, 0, payload or {})


def partial_of(verbs: Verbs, *events: Event) -> list[int]:
    partial = verbs.zero()
    for each in events:
        verbs.add(partial, each)
    return partial


@pytest.mark.parametrize(
    ("aggregate", "content_hash"),
    [
        (Aggregate("count", "view"), "f37cdc908f59f3e8cb"),
        (Aggregate("times", "view"), "0a0a429add4460e012"),
        (Aggregate("newest", "view"), "3b5e320d8aed726c73"),
        (Aggregate("totals", "order", "total"), "ef7e7e977d58f9abc2"),
        (Aggregate("pairs", "order", "total"), "69519228a1fe597c96"),
        (Aggregate("pairs", "bestellt \u00e4", "a.b"), "ed234d5dcada51059e"),
    ],
)
def test_the_identity_of_an_aggregate_is_frozen(aggregate: Aggregate, content_hash: str) -> None:
    assert aggregate.content_hash() == content_hash


def test_identities_do_not_run_together() -> None:
    alike = [Aggregate("totals", "a", "b"), Aggregate("totals", 'a", "b', ""), Aggregate("totals", "a")]
    assert len({aggregate.content_hash() for aggregate in alike}) == len(alike)


def test_count_counts() -> None:
    verbs = count_verbs()
    assert verbs.zero() == [0]
    assert partial_of(verbs, event(5), event(3), event(5)) == [3]
    assert verbs.merge([3], [4]) == [7]
    assert verbs.value([3], 10, None) == 3


def test_newest_keeps_the_newest_time() -> None:
    verbs = newest_verbs()
    assert partial_of(verbs, event(5), event(3)) == [5]
    assert partial_of(verbs, event(0)) == [0]
    assert verbs.merge([5], verbs.zero()) == verbs.merge([3], [5]) == [5]
    assert verbs.value(verbs.zero(), 10, None) is None
    assert verbs.value([5], 10, None) == 5


def test_totals_pass_over_what_is_no_number() -> None:
    verbs = totals_verbs("total")
    passed_over: list[Any] = [None, True, "3", [4], {}, 10**15, -1e15]
    payloads = [{}, *({"total": value} for value in (2, *passed_over, 0.5, -1))]
    partial = partial_of(verbs, *(event(at, payload) for at, payload in enumerate(payloads)))
    assert partial == [3, 1_500_000, 2_000_000, -1_000_000]
    assert verbs.value(partial, 10, None) == Totals(3, 1_500_000, 2_000_000, -1_000_000)


def test_totals_merge_with_nothing_and_with_each_other() -> None:
    verbs = totals_verbs("total")
    assert verbs.merge(verbs.zero(), [1, -5, -5, -5]) == verbs.merge([1, -5, -5, -5], verbs.zero()) == [1, -5, -5, -5]
    assert verbs.merge([1, -5, -5, -5], [2, 9, 6, 3]) == [3, 4, 6, -5]


def test_sums_beyond_64_bits_are_exact() -> None:
    verbs = totals_verbs("total")
    partial = partial_of(verbs, *(event(at, {"total": 999_999_999_999_999}) for at in range(1_000)))
    assert partial[1] == 999_999_999_999_999 * 10**9


@pytest.mark.parametrize(
    ("payload", "number"),
    [
        ({"a": {"b": 1}}, 1),
        ({"a.b": 2, "a": {"b": 1}}, 2),
        ({"a.b": None, "a": {"b": 1}}, None),
        ({"a": {"b": None}}, None),
        ({"a": [1]}, None),
        ({"a": 1}, None),
        ({"a": {"b": {"c": 1}}}, None),
    ],
)
def test_a_property_is_one_key_first_then_a_path(payload: dict[str, Any], number: int | None) -> None:
    micro = None if number is None else number * 1_000_000
    expected = [0, 0, 0, 0] if micro is None else [1, micro, micro, micro]
    assert partial_of(totals_verbs("a.b"), event(0, payload)) == expected


def test_times_keep_the_newest_in_order() -> None:
    verbs = times_verbs(3, (10,))
    assert partial_of(verbs, *map(event, (5, 1, 9, 7, 9, 2))) == [0, 7, 9, 9]
    assert verbs.merge([0, 1, 9], [0, 5, 7]) == [0, 5, 7, 9]
    assert verbs.merge(verbs.zero(), [0, 5]) == [0, 5]
    assert verbs.value([0, 7, 9, 9], 17, 10) == 2
    assert verbs.value([0, 7, 9, 9], 16, 10) == 3


def test_no_time_is_kept_where_none_decides() -> None:
    assert partial_of(times_verbs(0, (10,)), event(5), event(3)) == [0]


def test_pairs_stand_in_order_of_time_then_of_value() -> None:
    verbs = pairs_verbs("v", (5, 100))
    partial = partial_of(verbs, *(event(at, {"v": v}, 50) for at, v in ((30, 2), (20, 1), (30, 1), (40, 0), (30, 3))))
    assert partial == [0, 20, 1_000_000, 30, 1_000_000, 30, 2_000_000, 30, 3_000_000, 40, 0]
    assert verbs.value(partial, 131, 100) == Totals(1, 0, 0, 0)
    assert verbs.value(partial, 130, 100) == Totals(1, 0, 0, 0)
    assert verbs.value(partial, 129, 100) == Totals(4, 6_000_000, 3_000_000, 0)
    assert verbs.value(partial, 45, 5) == Totals(0, 0, 0, 0)


def test_pairs_that_no_window_reaches_are_dropped_at_the_next_event() -> None:
    verbs = pairs_verbs("v", (5, 100))
    partial = partial_of(verbs, event(0, {"v": 1}), event(99, {"v": 2}))
    assert partial == [0, 0, 1_000_000, 99, 2_000_000]
    verbs.add(partial, event(99, {}, 100))
    assert partial == [0, 99, 2_000_000]
    verbs.add(partial, event(1, {"v": 3}, 101))
    assert partial == [0, 99, 2_000_000]
    verbs.add(partial, event(2, {"v": 3}, 101))
    assert partial == [0, 2, 3_000_000, 99, 2_000_000]


def test_pairs_merge_into_one_order() -> None:
    verbs = pairs_verbs("v", (100,))
    assert verbs.merge([0, 1, 5, 3, 5], [0, 1, 4, 2, 9]) == [0, 1, 4, 1, 5, 2, 9, 3, 5]
    assert verbs.merge(verbs.zero(), verbs.zero()) == [0]
