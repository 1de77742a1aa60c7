"""The instant of a preview, and the bounds of an estimate."""

import random

import pytest

from services.api.events_log import known_until_us
from services.api.use_cases.previews import between
from shared.history.snapshot import Snapshot
from shared.runtime.kafka import Place

NOW_US = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("archived", "behind", "following", "known_us"),
    [
        # all is archived, or nothing was ever sent: now, or what the clock of the broker, which is ahead, says
        ({0: (5, 70_000)}, [], {}, NOW_US),
        ({0: (6, 70_000), 1: (2, NOW_US + 3)}, [], {}, NOW_US + 3),
        ({}, [], {}, NOW_US),
        # one is behind: just before the first message that is missing
        ({0: (5, 70_000), 1: (8, 90_000)}, [1], {1: Place(8, 120)}, 119_999),
        # which may have been received in the millisecond of the last one archived
        ({0: (5, 70_000), 1: (8, 90_000)}, [1], {1: Place(9, 120)}, 89_999),
        ({0: (5, 70_000), 1: (8, 90_000)}, [1], {}, 89_999),
        # two are behind
        ({0: (3, 70_000), 1: (8, 90_000)}, [0, 1], {0: Place(3, 100), 1: Place(8, 91)}, 90_999),
        # of one nothing is archived, or only what is no event: just before its first message
        ({0: (5, 70_000)}, [1], {1: Place(0, 8)}, 7_999),
        ({0: (5, 70_000), 1: (3, -1)}, [1], {1: Place(0, 8)}, 7_999),
        # of one nothing is archived, and the log has forgotten its messages
        ({0: (5, 70_000)}, [1], {}, NOW_US),
    ],
)
def test_history_knows_all_until_now_or_until_what_is_missing(
    archived: dict[int, tuple[int, int]], behind: list[int], following: dict[int, Place], known_us: int
) -> None:
    next_offsets = {p: next_offset for p, (next_offset, _) in archived.items()}
    received_us = {p: received for p, (_, received) in archived.items()}
    assert known_until_us(Snapshot(1, (), next_offsets, received_us), behind, following, NOW_US) == known_us


@pytest.mark.parametrize(("matched", "users"), [(0, 0), (0, 7), (7, 7), (3, 7)])
def test_an_estimate_of_all_users_is_exact(matched: int, users: int) -> None:
    assert between(matched, users, users) == (matched, matched)


@pytest.mark.parametrize(("matched", "sampled", "users"), [(0, 10, 1000), (10, 10, 1000), (1, 10, 11), (0, 0, 5)])
def test_the_bounds_hold_what_was_seen_and_nothing_impossible(matched: int, sampled: int, users: int) -> None:
    low, high = between(matched, sampled, users)
    assert matched <= low <= high <= users - (sampled - matched)
    assert low < high


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.97])
def test_the_bounds_hold_the_truth_nineteen_times_in_twenty(share: float) -> None:
    dice = random.Random(7)
    users, sampled, rounds = 40_000, 2_000, 400
    members = round(users * share)
    population = [True] * members + [False] * (users - members)
    held = 0
    for _ in range(rounds):
        low, high = between(sum(dice.sample(population, sampled)), sampled, users)
        held += low <= members <= high
    assert held >= rounds * 0.92
