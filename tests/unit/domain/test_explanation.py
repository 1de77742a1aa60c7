"""What an explanation shows where lists are short, full or beyond their bound."""

from typing import Any

from shared.domain.bucket import LIMIT
from shared.domain.compiled_segment import Activation
from shared.domain.definition import parse_definition
from shared.domain.event import Event
from shared.domain.evidence import MAX_EVENTS, Evidence, KeptEvents, evidence_of
from shared.domain.explanation import FoundCondition, explain, nothing_found
from shared.domain.plan import compile_plan
from shared.domain.sequence import LIMIT as SEQUENCE_LIMIT
from tests.support.kernel import fold_all

SECOND_US = 1_000_000
START = 1_700_000_000 * SECOND_US


def event(number: int, event_type: str = "buy", **payload: Any) -> Event:
    """The number-th event, a second after the one before."""
    at = START + number * SECOND_US
    return Event("u", event_type, at, at, number, payload)


def looked_into(events: list[Event], *conditions: dict[str, Any]) -> list[tuple[FoundCondition, Evidence]]:
    """What each condition found at the last event, and its evidence."""
    activation = Activation(1, 1, parse_definition({"logic": "AND", "conditions": list(conditions)}), 0, serving=True)
    plan = compile_plan([activation])
    slots, as_of = fold_all(plan, events), events[-1].received_at
    found, evidence = explain(activation, plan, slots, as_of), evidence_of(activation, plan, slots, as_of)
    assert len(nothing_found(activation)) == len(found)
    return list(zip(found, evidence, strict=True))


def count(value: int, window_s: int, **more: Any) -> dict[str, Any]:
    condition = {"type": "event_count", "event_type": "buy", "operator": "gte", "value": value}
    return condition | {"window_seconds": window_s} | more


def test_a_count_of_as_many_as_are_kept_is_a_lower_bound() -> None:
    ((found, evidence),) = looked_into([event(n) for n in range(5)], count(3, 60))
    assert found == FoundCondition(3, at_least=True, matches=True, next_change_at=START + 62 * SECOND_US)
    assert [kept.occurred_at for kept in evidence.events] == [START + n * SECOND_US for n in (4, 3, 2)]


def test_a_count_is_exact_when_an_older_event_is_kept_or_fewer_than_decide() -> None:
    (five, _), (two, _) = looked_into([event(n) for n in range(5)], count(5, 2), count(6, 60))
    assert (five.actual_value, five.at_least) == (2, False)
    assert (two.actual_value, two.at_least) == (5, False)


def test_a_count_beyond_the_bound_of_a_list_says_that_it_is_rough() -> None:
    events = [event(n) for n in range(LIMIT + 10)]
    rough, exact = looked_into(
        events, count(LIMIT + 5, 86_400), {"type": "recency", "event_type": "buy", "operator": "lte", "window_days": 1}
    )
    assert rough[0].actual_value == LIMIT + 10
    assert not rough[0].at_least
    assert rough[1].approximate is not None
    assert f"more than {LIMIT} events" in rough[1].approximate
    assert len(rough[1].events) == MAX_EVENTS
    assert exact[1] == Evidence([KeptEvents(events[-1].occurred_at)], 1)


def test_numbers_in_a_window_are_shown_newest_first() -> None:
    spent = {
        "type": "monetary",
        "event_type": "buy",
        "property": "total",
        "metric": "avg",
        "operator": "lt",
        "value": 1,
    }
    events = [event(0, total=9), event(1, total=0.1), event(2, total=0.2), event(3, total="3"), event(4, total=0.2)]
    ((found, evidence),) = looked_into(events, spent | {"window_seconds": 4})
    assert found.actual_value == 0.5 / 3
    assert [(kept.value, kept.occurred_at - START) for kept in evidence.events] == [
        (0.2, 4 * SECOND_US),
        (0.2, 2 * SECOND_US),
        (0.1, SECOND_US),
    ]
    assert evidence.kept == 3


def test_a_sequence_shows_which_steps_its_events_fit_and_how_many_were_given_up() -> None:
    steps = {"type": "event_sequence", "events": ["buy", "buy", "sell"], "window_seconds": 2}
    ((found, evidence),) = looked_into([event(0), event(1)], steps)
    assert (found.actual_value, found.matches) == (False, False)
    assert [kept.steps for kept in evidence.events] == [[1, 2], [1, 2]]
    ((found, evidence),) = looked_into([event(n) for n in range(SEQUENCE_LIMIT + 3)], steps)
    assert evidence.kept == SEQUENCE_LIMIT
    assert evidence.approximate is not None
    assert "3 older ones" in evidence.approximate
    ((found, evidence),) = looked_into([event(0), event(1), event(2, "sell")], steps)
    assert (found.actual_value, found.matches, evidence) == (True, True, Evidence([], 0))


def test_events_that_pass_no_filter_are_no_evidence() -> None:
    filters = [{"property": "total", "operator": "gt", "value": 5}]
    recent = {"type": "recency", "event_type": "buy", "operator": "lte", "window_days": 1, "filters": filters}
    ((found, evidence),) = looked_into([event(0, total=1)], recent)
    assert found == FoundCondition(None, at_least=False, matches=False, next_change_at=None)
    assert evidence == Evidence([], 0)


def test_a_number_too_large_for_every_reader_of_json_is_a_double() -> None:
    spent = {
        "type": "monetary",
        "event_type": "buy",
        "property": "total",
        "metric": "sum",
        "operator": "gt",
        "value": 0,
    }
    ((found, _),) = looked_into([event(n, total=900_000_000_000_000) for n in range(20)], spent)
    assert found.actual_value == 1.8e16
    assert type(found.actual_value) is float
