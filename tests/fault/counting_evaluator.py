"""`python -m tests.fault.counting_evaluator`: the evaluator, with a metric for the events that it reads again."""

from collections.abc import Sequence

from prometheus_client import Counter

from services.evaluator.__main__ import main
from services.evaluator.records import Record
from services.evaluator.step import DeadLetter, Step
from services.evaluator.transition import Outcome
from shared.runtime.metrics import EVALUATOR

NAME = "shoal_test_replayed_total"
ENTRY = ["-m", "tests.fault.counting_evaluator"]

_replayed = Counter(NAME, "Events that the state contained when they were read", registry=EVALUATOR)
_fold_records = Step.fold_records


def _counting(step: Step, records: Sequence[Record], out: Outcome) -> list[DeadLetter]:
    for record in records:
        user = step._table.user(record.key or b"")
        if user is not None and record.offset <= user.state.applied_offset:
            _replayed.inc()
    return _fold_records(step, records, out)


if __name__ == "__main__":
    Step.fold_records = _counting  # type: ignore[method-assign, assignment]
    main()
