"""No flapping: the changes are a function of the log, whatever was killed, stopped or moved meanwhile."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

from services.evaluator.recovery import LogRecord
from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import LONG, Step
from services.evaluator.transition import Outcome
from shared.contracts.change import Change, decode_change
from shared.contracts.keys import user_key
from tests.fault.changes import Place
from tests.support.served_table import serve
from tests.support.stream import TENANT, Stream
from tests.support.truth import Truth

SAME_INSTANT_US = 100_000
"""An event appended while the sweep asked for the end of the log may be found that much later than the clock."""
_EVERYBODY = 1_000_000


def wrong_turns(stream: Stream, truth: Truth) -> list[str]:
    """Where the changes are others than those of one evaluator that is never disturbed and reads the same log.

    Not for what rewrites history: a rebuild, or clocks that disagree; nor for users with so many events that how
    many are taken in together decides how often they are evaluated.
    """
    wanted, found = _by_place(_undisturbed(stream, truth)), _by_place(_distinct(stream))
    hot = {key for key, state in stream.states()[0].items() if sum(map(len, state.slots.values())) > LONG}
    return [
        f"flapping in {place}: {_said(found[place])} instead of {_said(wanted[place])}"
        for place in sorted(wanted.keys() | found.keys())
        if user_key(TENANT, place[1]) not in hot and not _agree(wanted[place], found[place])
    ]


def _agree(one: list[Change], other: list[Change]) -> bool:
    """Whether both turn as often, but for turns there and back at the same instant."""
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    back_at_once = sum(b.at_us - a.at_us <= SAME_INSTANT_US for a, b in itertools.pairwise(longer))
    return len(longer) - len(shorter) <= 2 * back_at_once


def _undisturbed(stream: Stream, truth: Truth) -> Iterator[Change]:
    logs: dict[int, list[LogRecord]] = defaultdict(list)
    for m in stream.read("events", stream.partitions):
        logs[m.partition() or 0].append(LogRecord(m.offset() or 0, m.timestamp()[1], m.key(), m.value()))
    for partition, records in logs.items():
        versions = {segment_id: PlanVersion(1, definition, 0) for segment_id, definition in truth.definitions.items()}
        table = serve(StateTable(partition), versions)
        out, step = Outcome(table), Step(table, stream.partitions)
        for record in records:
            step.fold_records([record], out)
        step.sweep(stream.clock(), _EVERYBODY, out)
        yield from (decode_change(value) for _, value in out.changes)


def _distinct(stream: Stream) -> Iterator[Change]:
    seen: set[str] = set()
    for message in stream.read("membership-changes", stream.partitions):
        change = decode_change(message.value() or b"")
        if change.id not in seen:
            seen.add(change.id)
            yield change


def _by_place(changes: Iterable[Change]) -> dict[Place, list[Change]]:
    found: dict[Place, list[Change]] = defaultdict(list)
    for change in changes:
        found[change.segment_id, change.user_id].append(change)
    return found


def _said(changes: list[Change]) -> str:
    return ", ".join(f"{change.change} {change.at_us} by {change.reason}" for change in changes) or "none"
