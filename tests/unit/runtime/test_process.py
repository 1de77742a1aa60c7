"""A process ends cleanly on a signal, and with one clear line when its surroundings are wrong."""

import asyncio
import os
import signal

import pytest

from shared.runtime.health import CannotListen
from shared.runtime.kafka import KafkaUnavailable, WrongTopic
from shared.runtime.process import EXIT_REFUSED, EXIT_TRY_AGAIN, clear_end, run
from shared.runtime.settings import InvalidSettings


class OldSchema(Exception):  # noqa: N818
    """A fault of one service's own."""


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (InvalidSettings("SHOAL_API_PORT: not a number"), EXIT_REFUSED),
        (WrongTopic("topic events: 12 partitions expected, 3 found"), EXIT_REFUSED),
        (CannotListen("cannot listen on 127.0.0.1:80"), EXIT_REFUSED),
        (OldSchema("run migrate"), EXIT_REFUSED),
        (KafkaUnavailable("Kafka at nowhere:1: timed out\nlocally"), EXIT_TRY_AGAIN),
    ],
)
def test_a_fault_of_the_surroundings_is_one_line_and_a_code(
    fault: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, clear_end("exporter", refusals=(OldSchema,)):
        raise fault
    assert ended.value.code == code
    assert capsys.readouterr().err == f"exporter: {' '.join(str(fault).split())}\n"


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), clear_end("exporter"):
        raise ZeroDivisionError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_a_second_one_changes_nothing(number: signal.Signals) -> None:
    seen = []

    async def main(stop: asyncio.Event) -> None:
        for _ in range(2):
            os.kill(os.getpid(), number)
            await stop.wait()
            await asyncio.sleep(0)  # lets the loop take the second signal while we still run
            seen.append(stop.is_set())

    run("exporter", main)
    assert seen == [True, True]


def test_main_may_end_by_itself() -> None:
    async def main(stop: asyncio.Event) -> None:
        assert not stop.is_set()

    run("exporter", main)
