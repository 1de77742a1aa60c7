"""How far two clocks are apart, from what is seen of both."""

import dataclasses

import pytest

from services.evaluator.clock_watch import ClockWatch

SECOND_US = 1_000_000
LIMIT_US = 300 * SECOND_US
NOON_US = 1_777_118_400 * SECOND_US


@dataclasses.dataclass
class Clocks:
    """A wall clock that may be wrong and a monotonic one that is not."""

    passed_us: int = 0
    wrong_us: int = 0

    def now_us(self) -> int:
        return NOON_US + self.passed_us + self.wrong_us

    def monotonic_s(self) -> float:
        return self.passed_us / SECOND_US

    def appended_us(self) -> int:
        """The append time of a message of this moment, in whole milliseconds."""
        return (NOON_US + self.passed_us) // 1000 * 1000


def watched(clocks: Clocks) -> ClockWatch:
    return ClockWatch(clocks, LIMIT_US, clocks.monotonic_s)


def test_clocks_that_agree_are_no_fault() -> None:
    clocks = Clocks()
    watch = watched(clocks)
    for _ in range(3):
        before_us = watch.now_us()
        clocks.passed_us += 20_345
        watch.appended(clocks.appended_us(), before_us)
    assert (watch.skew_us, watch.fault) == (0, None)


@pytest.mark.parametrize(("wrong_s", "words"), [(7200, "7200 s ahead of"), (-7200, "7200 s behind")])
def test_a_wrong_clock_shows_at_the_first_message(wrong_s: int, words: str) -> None:
    clocks = Clocks(wrong_us=wrong_s * SECOND_US)
    watch = watched(clocks)
    watch.appended(clocks.appended_us(), watch.now_us())
    assert words in (watch.fault or "")


@pytest.mark.parametrize("wrong_s", [7200, -7200])
def test_a_jump_shows_without_any_message_and_is_over_when_it_is_undone(wrong_s: int) -> None:
    clocks = Clocks()
    watch = watched(clocks)
    clocks.passed_us, clocks.wrong_us = 10 * SECOND_US, wrong_s * SECOND_US
    watch.now_us()
    assert watch.fault is not None
    clocks.passed_us, clocks.wrong_us = 20 * SECOND_US, 0
    watch.now_us()
    assert watch.fault is None


def test_an_old_message_says_nothing_of_the_clock() -> None:
    """It may have lain in the log for days."""
    clocks = Clocks()
    watch = watched(clocks)
    watch.appended(NOON_US - 86_400 * SECOND_US)
    assert watch.fault is None
    assert not watch.is_ahead(NOON_US - 86_400 * SECOND_US)


def test_a_slow_drift_shows_before_the_limit() -> None:
    clocks = Clocks()
    watch = watched(clocks)
    for _ in range(400):
        before_us = watch.now_us()
        clocks.passed_us += SECOND_US
        clocks.wrong_us += SECOND_US  # too little a step to look like a jump
        watch.appended(clocks.appended_us(), before_us)
    assert watch.skew_us == pytest.approx(400 * SECOND_US, abs=3 * SECOND_US)
    assert watch.fault is not None


def test_what_is_stamped_far_ahead_must_wait() -> None:
    clocks = Clocks()
    watch = watched(clocks)
    assert watch.is_ahead(NOON_US + LIMIT_US + 1)
    assert not watch.is_ahead(NOON_US + LIMIT_US)


def test_a_reading_from_before_the_clock_was_set_back_is_no_bound() -> None:
    clocks = Clocks(wrong_us=7200 * SECOND_US)
    watch = watched(clocks)
    watch.appended(clocks.appended_us(), watch.now_us())  # a claim
    before_us = watch.now_us()
    clocks.passed_us, clocks.wrong_us = SECOND_US, 0
    watch.appended(clocks.appended_us(), before_us)
    assert watch.fault is None
