"""Ctrl-C interrupts a start, and is a condition to wait for afterwards."""

import os
import signal
import threading

import pytest

from deploy.local.stop_wish import Interrupted, StopWish


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_interrupts_a_start_and_the_next_changes_nothing(number: signal.Signals) -> None:
    with StopWish():
        with pytest.raises(Interrupted):
            send(number)
        send(number)


def test_a_signal_ends_the_wait() -> None:
    with StopWish() as wish:
        timer = threading.Timer(0.1, send, [signal.SIGTERM])
        timer.start()
        wish.wait()
        timer.join()


def test_during_the_stop_nothing_interrupts() -> None:
    with StopWish() as wish:
        wish.interrupt_no_more()
        send(signal.SIGINT)
        wish.wait()


def test_what_nohup_ignores_stays_ignored_and_everything_is_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopWish():
            send(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, hangup)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
