"""`python -m services.evaluator`: one evaluator worker. With `dead-letters`: what it set aside."""

import asyncio
import gc
import sys

from services.evaluator import dead_letters_command
from services.evaluator.app import Evaluator, Unfit
from services.evaluator.settings import EvaluatorSettings
from shared.runtime.crash_points import arm
from shared.runtime.logs import configure_logs
from shared.runtime.process import EXIT_REFUSED, clear_end, run
from shared.runtime.settings import CommonSettings

_PROGRAM = "python -m services.evaluator"

_GC_THRESHOLDS = (100_000, 50, 1_000)
"""Full collections are rare: the state is large and holds no cycles."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with clear_end("evaluator"):
        settings = EvaluatorSettings.load()
    configure_logs(settings.log_level)
    arm(settings.crash_at)
    gc.set_threshold(*_GC_THRESHOLDS)

    async def work(stop: asyncio.Event) -> None:
        await Evaluator(settings).run(stop)

    run("evaluator", work, refusals=(Unfit,))


def command(arguments: list[str]) -> None:
    """What the command line asks for; ends with code 2 and one line for what nobody can."""
    if not arguments:
        main()
    elif arguments[0] == dead_letters_command.NAME:
        with clear_end("evaluator"):
            settings = CommonSettings.load()
        dead_letters_command.main(settings.kafka_bootstrap_servers, arguments[1:], _PROGRAM)
    else:
        print(f"usage: {_PROGRAM} [{dead_letters_command.NAME} ...]", file=sys.stderr)  # noqa: T201 - the answer
        raise SystemExit(EXIT_REFUSED)


if __name__ == "__main__":
    command(sys.argv[1:])
