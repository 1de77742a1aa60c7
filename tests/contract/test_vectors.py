"""The published vectors: the kernel, the oracle and SQL all answer as the files say."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import replace

from shared.contracts.event import decode_track, to_event
from shared.domain.comparison import COUNT_OPERATORS, RECENCY_OPERATORS
from shared.domain.compiled_segment import Activation
from shared.domain.condition import LOGICS, MEMBERSHIP_OPERATORS, METRICS, Condition
from shared.domain.definition import parse_definition
from shared.domain.errors import InvalidDefinition, InvalidEvent
from shared.domain.event import Event
from shared.domain.fold import fold, is_repeat
from shared.domain.plan import compile_plan
from shared.domain.times import parse_time
from shared.domain.user_state import NEVER, UserState
from shared.domain.value_test import Operator
from shared.domain.window import UNITS_US
from tests.support import oracle
from tests.support.served import with_references
from tests.support.sql import archived, previewed
from tests.support.vectors import EventText, Question, RefusedDefinition, of_rule, questions, refused_definitions, texts

WITH_WORDS = ("type", "operator", "metric", "logic")


class Beside(msgspec.Struct):
    """What the file says of an event, and what it takes for it when it does not."""

    occurred_at: str | None = None
    received_at: str | None = None
    refused: str | None = None


def instant(text: str | None) -> int:
    """The microseconds of a time of the files; null never comes."""
    if text is None:
        return NEVER
    found = parse_time(text)
    assert found is not None, text
    return found


def event_of(text: bytes, received_at: int, offset: int) -> Event | str:
    """The event of a text, or the key for which it is refused."""
    try:
        return to_event(decode_track(text), received_at, offset)
    except InvalidEvent as fault:
        return fault.field


def log_of(question: Question) -> list[Event]:
    """The events of a case by their place in the log; refused ones are looked at and left out."""
    log: list[Event] = []
    last = 0
    for offset, text in enumerate(question.events):
        beside = msgspec.json.decode(text, type=Beside)
        received_at = instant(beside.received_at or beside.occurred_at)
        assert received_at >= last, "the log is in the order of receipt"
        last = received_at
        event = event_of(b'{"user_id":"u",' + bytes(text)[1:], received_at, offset)
        assert (None if isinstance(event, Event) else event) == beside.refused
        if isinstance(event, Event):
            log.append(event)
    return log


def of_the_kernel(question: Question, log: list[Event], as_of: int) -> tuple[bool, int]:
    """The kernel's answer and its turn, which is looked at on both sides."""
    definitions = {0: question.definition} | question.segments
    plan = compile_plan(Activation(n, 1, parse_definition(raw), 0, serving=True) for n, raw in definitions.items())
    state = UserState()
    for event in log:
        if not is_repeat(state, event) and event.occurred_at <= as_of:
            # the kernel is never asked about an instant before a receipt: what came later is taken to have come now
            received = replace(event, received_at=min(event.received_at, as_of))
            fold(plan.by_event_type.get(event.event_type, plan.other), state.slots, received)
    verdict = plan.segments[0].verdict
    member, recheck_at = verdict(state.slots, as_of)
    if recheck_at != NEVER:
        assert verdict(state.slots, recheck_at - 1) == (member, recheck_at)
        assert verdict(state.slots, recheck_at)[0] is not member
    return member, recheck_at


def of_the_oracle(question: Question, log: list[Event], as_of: int) -> tuple[bool, int]:
    """The oracle's answer and its turn."""
    definition = with_references(question.definition, question.segments)
    events = [event for event in oracle.counted(log) if event.occurred_at <= as_of]
    return oracle.member(definition, events, as_of), oracle.next_turn(definition, events, as_of)


@pytest.mark.parametrize("question", questions, ids=of_rule)
def test_kernel_and_oracle_answer_as_the_vectors_say(question: Question) -> None:
    as_of, log = instant(question.as_of), log_of(question)
    expected = question.member, instant(question.recheck_at)
    if not any(event.occurred_at <= as_of for event in oracle.counted(log)):
        assert expected == (False, NEVER), "who is not known is a member of nothing"
        return
    assert of_the_oracle(question, log, as_of) == expected
    assert of_the_kernel(question, log, as_of) == expected


@pytest.mark.parametrize("question", questions, ids=of_rule)
def test_sql_answers_as_the_vectors_say(question: Question) -> None:
    connection = archived([log_of(question)])
    found = previewed(connection, question.definition, instant(question.as_of), question.segments)
    assert found.matched == question.member


@pytest.mark.parametrize("case", texts, ids=of_rule)
def test_a_text_is_an_event_or_is_refused_for_the_key_that_is_named(case: EventText) -> None:
    # a lone surrogate may be in the text as a character
    event = event_of(case.text.encode("utf-8", "surrogatepass"), instant("2026-07-01"), 0)
    assert (None if isinstance(event, Event) else event) == case.refused


@pytest.mark.parametrize("case", refused_definitions, ids=of_rule)
def test_a_definition_is_refused_with_the_places_of_all_its_faults(case: RefusedDefinition) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        parse_definition(case.definition)
    assert [fault.path for fault in caught.value.faults] == case.faults


def words_of(item: Any) -> Iterator[tuple[str, str]]:
    """All pairs of a key and a word in a definition, and its other keys with themselves."""
    for key, value in item.items() if isinstance(item, dict) else ():
        yield key, value if key in WITH_WORDS and isinstance(value, str) else key
    for part in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        yield from words_of(part)


def test_the_vectors_are_many_and_each_says_its_own_rule() -> None:
    rules = [*map(of_rule, questions), *map(of_rule, texts), *map(of_rule, refused_definitions)]
    assert len(questions) >= 150
    assert len(set(rules)) == len(rules)
    assert all(rule.endswith(".") for rule in rules)


def test_the_vectors_use_every_word_of_the_language() -> None:
    used = {pair for question in questions for pair in words_of([question.definition, *question.segments.values()])}
    assert {("type", kind.__struct_config__.tag) for kind in get_args(Condition)} <= used
    operators = {*get_args(Operator), *COUNT_OPERATORS, *RECENCY_OPERATORS, *MEMBERSHIP_OPERATORS}
    assert {("operator", operator) for operator in operators} <= used
    assert {("metric", metric) for metric in METRICS} | {("logic", logic) for logic in LOGICS} <= used
    assert {(key, key) for key in (*UNITS_US, "filters", "negate", "strict")} <= used
