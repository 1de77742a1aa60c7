"""Three hundred generated segments over real Kafka: Redis says of every user what the oracle says, whenever asked."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pytest

from shared.contracts.topics import MEMBERSHIP_CHANGES
from shared.domain.value_test import OPERATORS
from tests.support import generated
from tests.support.cut import Cut, cut, expected
from tests.support.evaluators import EvaluatorProcess, environment, evaluators, wait_for
from tests.support.stream import Membership, Stream, fresh_stream
from tests.support.truth import differences

SEED = 20_260_725
SEGMENTS, EVENTS, USERS, PARTITIONS = 300, 200_000, 2_500, 8
LAST = 3_000
"""Events sent when all others are taken in, so that the short windows are not over when Redis is looked at."""
ONLY_TIME_US = 8_000_000
PATIENCE_S = 600
"""For a machine that is busy with other things; by itself the whole takes less than two minutes."""
SHOWN = 20


@pytest.mark.timeout(2 * PATIENCE_S)
def test_redis_agrees_with_the_oracle_for_every_user_while_events_come_and_time_passes(
    kafka_bootstrap_servers: str, redis_url: str
) -> None:
    """In the middle of the load, at its end, and when only time has passed since."""
    definitions = generated.definitions(SEGMENTS, SEED)
    settings = environment(kafka_bootstrap_servers, redis_url, SHOAL_PARTITIONS=str(PARTITIONS))
    with (
        fresh_stream(kafka_bootstrap_servers, redis_url, PARTITIONS) as stream,
        evaluators(settings | {"SHOAL_EVALUATOR_SESSION_TIMEOUT_S": "20"}) as make,
    ):
        workers = [make(), make()]
        for worker in workers:
            worker.await_ready()
        stream.activate(definitions, 60)
        cuts = list(_cuts(stream, workers))
        assert cuts[-1].applied == stream.end_offsets()
        for worker in workers:  # in order: members that are killed stay in the group for as long as a session lasts
            assert worker.stop() == 0
        changes = (message.value() or b"" for message in stream.read(MEMBERSHIP_CHANGES, PARTITIONS))
        turned = Counter(b'"reason":"time"' in change for change in changes)
        wanted = expected(stream, definitions, cuts)
    print(f"seed {SEED}: {', '.join(map(_said, cuts))}; {turned[False]:,} turns by events, {turned[True]:,} by time")
    assert turned[True] > EVENTS / 100
    for place, (found, right) in enumerate(zip(cuts, wanted, strict=True)):
        wrong = list(_wrong(found, right))
        assert not wrong, f"cut {place}: {len(wrong)} differences, among them {wrong[:SHOWN]}"
        members = {segment_id for by_segment in right.values() for segment_id in by_segment}
        everybody = [s for s in members if sum(len(of.get(s, ())) for of in right.values()) == USERS]
        assert len(members) - len(everybody) > SEGMENTS / 2, "most segments have some users and lack others"


def _cuts(stream: Stream, workers: Sequence[EvaluatorProcess]) -> Iterator[Cut]:
    load = generated.events(EVENTS, USERS, SEED)
    for _ in range(2):
        for count in (EVENTS // 2 - LAST, LAST):
            for event, late_s in islice(load, count):
                occurred = {"occurred_at": generated.moment(time.time() - late_s)} if late_s else {}
                stream.send(**event | occurred)
            stream.await_committed(PATIENCE_S)
        yield (found := cut(stream, workers))
    later = max(found.clocks.values()) + ONLY_TIME_US
    wait_for(lambda: stream.clock() > later, 30, "time passes")
    yield cut(stream, workers)


def _wrong(found: Cut, right: dict[int, Membership]) -> Iterator[str]:
    for partition, memberships in right.items():
        yield from (f"values: {line}" for line in differences(memberships, found.values[partition]))
        yield from (f"member sets: {line}" for line in differences(memberships, found.member_sets[partition]))


def _said(found: Cut) -> str:
    return f"{sum(len(users) for by_segment in found.values.values() for users in by_segment.values()):,} memberships"


def test_the_definitions_have_everything_that_the_language_has() -> None:
    found = {said for definition in generated.definitions(SEGMENTS, SEED).values() for said in _uses(definition)}
    tests = {(kind, operator) for kind in ("event_property", "user_property", "filter") for operator in OPERATORS}
    metrics = {(metric, operator) for metric in generated.METRICS for operator in generated.COUNT_OPERATORS}
    assert found == tests | {
        *(("event_count", operator) for operator in generated.COUNT_OPERATORS),
        *(("recency", operator) for operator in generated.RECENCY_OPERATORS),
        *(("monetary", *of) for of in metrics),
        *(("event_sequence", how) for how in ("strict", "not strict")),
        *(("segment_membership", operator) for operator in ("in", "not_in")),
        *(("negate", what) for what in ("group", "condition")),
        *((logic, depth) for logic in ("AND", "OR") for depth in range(1, 6)),
    }


def _uses(item: dict[str, Any], depth: int = 1) -> Iterator[tuple[Any, ...]]:
    if item.get("negate"):
        yield "negate", "group" if "logic" in item else "condition"
    if "logic" in item:
        yield item["logic"], depth
        for part in item["conditions"]:
            yield from _uses(part, depth + 1)
        return
    yield from (("filter", each["operator"]) for each in item.get("filters", ()))
    for step in item.get("events", ()):
        yield from (("filter", each["operator"]) for each in (step["filters"] if isinstance(step, dict) else ()))
    if item["type"] == "monetary":
        yield "monetary", item["metric"], item["operator"]
    else:
        how = "strict" if item.get("strict") else "not strict"
        yield item["type"], item.get("operator", how)
