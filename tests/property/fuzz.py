"""Fuzzing what reads definitions and events: only the documented refusals may come out.

`python -m tests.property.fuzz --minutes 5` looks for long, `tests/property/test_fuzz.py` for a moment.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.event import EventMessage, decode_event, decode_track, decode_track_batch, encode_event, to_event
from shared.domain.compiled_segment import Activation
from shared.domain.condition import METRICS
from shared.domain.definition import fingerprint, parse_definition
from shared.domain.errors import InvalidDefinition, InvalidEvent
from shared.domain.event import Event
from shared.domain.plan import compile_plan
from shared.domain.user_state import decode_state, encode_state
from shared.domain.value_test import OPERATORS
from tests.support.json_trees import any_text, changed, numbers, scalars, texts_of, trees
from tests.support.kernel import plan_of, state_after
from tests.support.oracle import DAY
from tests.support.strategies import definitions, logs
from tests.support.vectors import questions, refused_definitions, texts

Refusal = TypeVar("Refusal", InvalidDefinition, InvalidEvent)
Found = TypeVar("Found")

REFUSED, ACCEPTED = "refused", "accepted"

_WORDS = (
    *OPERATORS,
    *METRICS,
    *("AND", "OR", "event_count", "recency", "monetary", "event_property", "user_property", "event_sequence"),
    *("segment_membership", "view", "order", "context_identified", "a.b", "2026-03-10", "2026-03-10T00:30+01:00"),
)
_KEYS = (
    *("logic", "conditions", "negate", "type", "event_type", "operator", "value", "property", "metric", "filters"),
    *("events", "strict", "segment_id", "window_days", "window_hours", "window_minutes", "window_seconds"),
)
_EVENT_KEYS = ("user_id", "event_type", "occurred_at", "payload", "event_id", "anonymous_id", "tenant", "other")

_SPAN = datetime(1969, 12, 1), datetime(2031, 1, 1)  # noqa: DTZ001 - drawn without a zone
_RECEIVED_AT = 61 * 365 * DAY


def _one_of(known: list[Any]) -> st.SearchStrategy[Any]:
    """One of many large things, not to be named one by one in every message of Hypothesis."""
    return st.integers(0, len(known) - 1).map(lambda at: known[at])


_known_definitions = _one_of(
    [case.definition for case in refused_definitions]
    + [each for case in questions for each in (case.definition, *case.segments.values())]
)
_definition_parts = trees(st.sampled_from(_KEYS), st.sampled_from(_WORDS))
_patterns = st.text(st.sampled_from("ab1\u00e9\n()[]{}|*+?\\.^$,-:=!<>PpLdDwsbBAzQECixmsU0129"), max_size=24)
_with_pattern = st.builds(
    lambda pattern: {
        "logic": "AND",
        "conditions": [{"type": "user_property", "property": "a", "operator": "matches_regex", "value": pattern}],
    },
    _patterns,
)
_known_events = st.one_of(
    _one_of([json.loads(bytes(text)) for case in questions for text in case.events]),
    st.fixed_dictionaries(
        {"payload": trees(st.sampled_from(("a", "b", "total")), scalars, max_leaves=40)},
        optional={"event_id": any_text, "anonymous_id": any_text, "occurred_at": st.datetimes(*_SPAN).map(str)},
    ),
).map(lambda event: {"user_id": "u", "event_type": "view", "tenant": 1} | event)
_event_parts = trees(st.sampled_from(_EVENT_KEYS), scalars)
_known_texts = [case.text.replace("{", '{"tenant": 1, ', 1).encode("utf-8", "surrogatepass") for case in texts]
_event_texts = st.one_of(
    st.binary(max_size=80),
    texts_of(trees(st.sampled_from(_EVENT_KEYS), scalars)),
    _one_of(_known_texts),
    *[texts_of(changed(_known_events, _event_parts))] * 4,
)
_log = logs(max_size=4)
_following = plan_of([case.definition for case in questions])


def read_definition(raw: Any, log: list[Event]) -> str:
    """An accepted definition compiles, answers, and leaves a state that can be stored; a refused one says where."""
    definition = _or_refusal(InvalidDefinition, parse_definition, raw)
    if isinstance(definition, InvalidDefinition):
        assert definition.faults
        assert all(fault.path.startswith("$") and fault.message for fault in definition.faults)
        return REFUSED
    assert len(fingerprint(definition)) == 32
    plan = compile_plan([Activation(1, 1, definition, 0, serving=True)])
    for events in ([], log):
        state = state_after(plan, events)
        member, recheck_at = plan.segments[1].verdict(state.slots, state.as_of)
        assert isinstance(member, bool)
        assert recheck_at > state.as_of
        assert decode_state(encode_state(state)) == state
    return ACCEPTED


def read_event(text: bytes) -> str:
    """An accepted event reads the same when it is written again, and can be folded and stored; else InvalidEvent."""
    for read_too, sent in ((decode_track, text), (decode_track_batch, b'{"events":[' + text + b"]}")):
        _or_refusal(InvalidEvent, read_too, sent)
    found = _or_refusal(InvalidEvent, _event_of, text)
    if isinstance(found, InvalidEvent):
        assert found.field
        assert found.message.encode()
        return REFUSED
    message, event = found
    assert decode_event(encode_event(message, message.tenant)) == message
    state = state_after(_following, [event])
    assert decode_state(encode_state(state)) == state
    return ACCEPTED


def _event_of(text: bytes) -> tuple[EventMessage, Event]:
    message = decode_event(text)
    return message, to_event(message, _RECEIVED_AT, 0)


def _or_refusal(refusal: type[Refusal], read: Callable[..., Found], *read_from: Any) -> Found | Refusal:
    try:
        return read(*read_from)
    except refusal as refused:
        return refused


class Fuzzed(NamedTuple):
    """What is drawn, and what reads it."""

    drawn: st.SearchStrategy[Any]
    read: Callable[..., str]


FUZZED = {
    "any tree as a definition": Fuzzed(st.tuples(_definition_parts, _log), read_definition),
    "a known definition, changed": Fuzzed(
        st.tuples(changed(_known_definitions, _definition_parts), _log), read_definition
    ),
    "a generated definition, changed": Fuzzed(
        st.tuples(changed(definitions, st.one_of(numbers, _definition_parts)), _log), read_definition
    ),
    "any pattern": Fuzzed(st.tuples(_with_pattern, _log), read_definition),
    "any text as an event": Fuzzed(st.tuples(_event_texts), read_event),
}


def fuzz(name: str, examples: int, told: Counter[str]) -> None:
    """Read so many examples of one kind; counts what became of them. Raises what a reader raised, and the example."""
    fuzzed = FUZZED[name]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(fuzzed.drawn)
    def reads(drawn: tuple[Any, ...]) -> None:
        told[fuzzed.read(*drawn)] += 1

    reads()


def main() -> None:
    """Fuzz all kinds in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    end = time.monotonic() + parser.parse_args().minutes * 60
    told: dict[str, Counter[str]] = {name: Counter() for name in FUZZED}
    while time.monotonic() < end:
        for name in FUZZED:
            fuzz(name, 500, told[name])
    for name, counts in told.items():
        print(f"{name:34}{counts[ACCEPTED]:>10} accepted{counts[REFUSED]:>10} refused")
    print(f"{sum(counts.total() for counts in told.values())} examples, nothing but refusals")


if __name__ == "__main__":
    main()
