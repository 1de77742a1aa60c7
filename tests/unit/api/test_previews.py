"""The instant of a preview, and the bounds of an estimate."""

import random

import pytest

from services.api.events_log import LogState, known_until_us
from services.api.use_cases.previews import between
from shared.history.snapshot import Snapshot

NOW_US = 1_800_000_000_000_000
MS = 1000


def snapshot(next_offsets: dict[int, int], received_us: dict[int, int]) -> Snapshot:
    return Snapshot(1, (), next_offsets, received_us)


@pytest.mark.parametrize(
    ("ends", "firsts_ms", "next_offsets", "received_us", "known_us"),
    [
        # all archived: now, or what the clock of the broker, which is ahead, says
        ({0: 5, 1: 0}, {0: 7}, {0: 5}, {0: 70}, NOW_US),
        ({0: 5, 1: 2}, {0: 7, 1: 8}, {0: 6, 1: 2}, {0: 70, 1: NOW_US + 3}, NOW_US + 3),
        # nothing was ever sent
        ({0: 0, 1: 0}, {}, {}, {}, NOW_US),
        # one lags: just before its last archived message, of whose millisecond there may be more
        ({0: 5, 1: 9}, {0: 7, 1: 8}, {0: 5, 1: 8}, {0: 70_000, 1: 90_000}, 89_999),
        # two lag
        ({0: 5, 1: 9}, {0: 7, 1: 8}, {0: 3, 1: 8}, {0: 70_000, 1: 90_000}, 69_999),
        # of one nothing is archived, or only what is no event: just before its first message
        ({0: 5, 1: 9}, {0: 7, 1: 8}, {0: 5}, {0: 70_000}, 7_999),
        ({0: 5, 1: 9}, {0: 7, 1: 8}, {0: 5, 1: 3}, {0: 70_000, 1: -1}, 7_999),
        # one was archived up to what the log has forgotten since, and nothing came after that
        ({0: 5, 1: 9}, {0: 7}, {0: 5, 1: 8}, {0: 70_000, 1: 90_000}, NOW_US),
    ],
)
def test_history_knows_all_until_now_or_until_the_one_that_lags(
    ends: dict[int, int],
    firsts_ms: dict[int, int],
    next_offsets: dict[int, int],
    received_us: dict[int, int],
    known_us: int,
) -> None:
    log = LogState("log", ends, firsts_ms)
    assert known_until_us(log, snapshot(next_offsets, received_us), NOW_US) == known_us


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
