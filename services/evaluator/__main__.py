"""`python -m services.evaluator`: one evaluator worker."""

import asyncio
import gc

from services.evaluator.app import Evaluator, Unfit
from services.evaluator.settings import EvaluatorSettings
from shared.runtime.crash_points import arm
from shared.runtime.logs import configure_logs
from shared.runtime.process import clear_end, run

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


if __name__ == "__main__":
    main()
