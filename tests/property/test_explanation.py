"""Explanations against the oracle: each condition alone, all of them together, and the numbers they looked at."""

from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given, settings

from shared.domain.compiled_segment import Activation
from shared.domain.definition import parse_definition
from shared.domain.event import Event
from shared.domain.evidence import MAX_EVENTS, evidence_of
from shared.domain.explanation import FoundCondition, explain, turn_of
from shared.domain.plan import Plan
from shared.domain.user_state import UserState, encode_state
from shared.domain.written import written
from tests.support import oracle, oracle_values
from tests.support.kernel import plan_of, state_after
from tests.support.served import with_references
from tests.support.strategies import definitions, families, logs

Json = dict[str, Any]


def explained(plan: Plan, segment_id: int, definition: Json, state: UserState, as_of: int) -> list[FoundCondition]:
    activation = Activation(segment_id, 1, parse_definition(definition), 0, serving=True)
    return explain(activation, plan, state.slots, as_of)


def leaves(item: Json) -> Iterator[Json]:
    if "logic" not in item:
        yield item
    for child in item.get("conditions", ()):
        yield from leaves(child)


def combined(item: Json, answers: Iterator[bool]) -> bool:
    """What the definition says when its conditions, in their order, say so."""
    if "logic" not in item:
        return next(answers)
    children = [combined(child, answers) for child in item["conditions"]]
    return (all(children) if item["logic"] == "AND" else any(children)) is not item.get("negate", False)


def at(definition: Json, path: str) -> Json:
    """What stands at a path of a definition."""
    for index in path.removeprefix("$").split(".conditions")[1:]:
        definition = definition["conditions"][int(index.strip("[]"))]
    return definition


def check(family: list[Json], log: list[Event]) -> None:
    plan, known = plan_of(family), dict(enumerate(family, 1))
    state, counted = state_after(plan, log), oracle.counted(log)
    before = encode_state(state)
    for segment_id, definition in known.items():
        with_others = with_references(definition, known)
        turns = {turn for turn in (oracle.next_turn(with_others, counted, state.as_of),) if turn != oracle.NEVER}
        for as_of in {state.as_of, *turns}:
            found = explained(plan, segment_id, definition, state, as_of)
            member, recheck_at = plan.segments[segment_id].verdict(state.slots, as_of)
            assert combined(definition, (each.matches for each in found)) is member
            assert member is oracle.member(with_others, counted, as_of)
            assert turn_of(recheck_at) is None or recheck_at > as_of
            for each, leaf in zip(found, leaves(with_others), strict=True):
                assert each.matches is oracle.member(leaf, counted, as_of)
                assert (each.next_change_at or oracle.NEVER) == oracle.next_turn(leaf, counted, as_of)
                check_value(each, leaf, counted, as_of)
    assert encode_state(state) == before


def check_value(found: FoundCondition, condition: Json, counted: list[Event], as_of: int) -> None:
    """The actual value is what the words of the condition say, from all events."""
    seen = oracle._seen(condition, counted, as_of) if condition["type"] != "segment_membership" else []
    assert not found.at_least or condition["type"] == "event_count"
    match condition["type"]:
        case "event_count":
            count = len(oracle._in_window(condition, seen, as_of))
            assert found.actual_value <= count if found.at_least else found.actual_value == count
        case "recency":
            assert found.actual_value == (max(event.occurred_at for event in seen) if seen else None)
        case "monetary":
            read = [
                oracle_values.property_of(e.payload, condition["property"])
                for e in oracle._in_window(condition, seen, as_of)
            ]
            values = [value for value in map(oracle_values.exact, read) if value is not None]
            metrics: dict[str, Any] = {"sum": sum, "avg": lambda of: sum(of) / len(of), "max": max, "min": min}
            expected = metrics[condition["metric"]](values) if values or condition["metric"] == "sum" else None
            assert found.actual_value == (None if expected is None else float(expected))
        case "event_property" | "user_property":
            value = oracle_values.property_of(seen[-1].payload, condition["property"]) if seen else None
            if oracle_values.kind_of(value) is not None:
                assert found.actual_value == value
                assert type(found.actual_value) is type(value)
            assert (found.actual_value is None) is (value is None)
        case _:
            assert found.actual_value is (
                oracle.member(condition | {"negate": False}, counted, as_of)
                is not (condition.get("operator") == "not_in")
            )


@settings(max_examples=1_000)
@given(definitions, logs())
def test_every_condition_and_all_together_say_what_the_oracle_says(definition: Json, log: list[Event]) -> None:
    check([definition], log)


@settings(max_examples=500)
@given(families(), logs())
def test_conditions_that_refer_to_other_segments_say_what_the_oracle_says(family: list[Json], log: list[Event]) -> None:
    check(family, log)


@settings(max_examples=500)
@given(definitions, logs())
def test_evidence_is_of_events_that_there_were(definition: Json, log: list[Event]) -> None:
    plan = plan_of([definition])
    state, times = state_after(plan, log), {event.occurred_at for event in log}
    activation = Activation(1, 1, parse_definition(definition), 0, serving=True)
    evidence = evidence_of(activation, plan, state.slots, state.as_of)
    for each in evidence:
        shown = [kept.occurred_at for kept in each.events]
        assert shown == sorted(shown, reverse=True)
        assert times.issuperset(shown)
        assert len(shown) == min(each.kept, MAX_EVENTS)
        assert each.approximate is None
    msgspec.msgpack.encode(evidence)


@settings(max_examples=500)
@given(definitions)
def test_every_condition_is_written_at_its_place_with_a_sentence(definition: Json) -> None:
    lines = written(parse_definition(definition), {})
    for line, leaf in zip(lines, leaves(definition), strict=True):
        assert at(definition, line.path) is leaf
        assert line.type == leaf["type"]
        assert line.label[0].isupper() or line.label.startswith(str(leaf.get("property")))
        msgspec.json.encode(line)
    assert len({line.path for line in lines}) == len(lines)
