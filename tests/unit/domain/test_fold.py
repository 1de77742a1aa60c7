"""Repeats of an id, and which slots an event reaches."""

from shared.domain.event import Event
from shared.domain.fold import MAX_EVENT_IDS, REPEAT_US, fold, is_repeat
from shared.domain.plan import EventPlan
from shared.domain.user_state import UserState
from tests.support.kernel import plan_of

DAY = 86_400_000_000
COUNT = {"logic": "AND", "conditions": [{"type": "event_count", "event_type": "view", "operator": "gte", "value": 3}]}


def event(received_at: int, event_id: str | None = "e", offset: int = 0) -> Event:
    return Event("u", "view", received_at, received_at, offset, {}, event_id)


def test_an_id_received_less_than_24_h_ago_is_a_repeat() -> None:
    state = UserState()
    assert not is_repeat(state, event(5))
    assert is_repeat(state, event(5))
    assert is_repeat(state, event(5 + REPEAT_US - 1))
    assert not is_repeat(state, event(5 + REPEAT_US - 1, "other"))


def test_24_h_later_it_is_none() -> None:
    state = UserState()
    assert not is_repeat(state, event(5))
    assert not is_repeat(state, event(5 + REPEAT_US))


def test_a_dropped_repeat_counts_as_the_previous_one() -> None:
    state = UserState()
    answers = [is_repeat(state, event(hours * DAY // 24)) for hours in (0, 20, 40, 60, 84, 85)]
    assert answers == [False, True, True, True, False, True]


def test_ids_older_than_24_h_are_forgotten() -> None:
    state = UserState()
    for hour in range(30):
        is_repeat(state, event(hour * DAY // 24, str(hour)))
    assert list(state.event_ids) == [str(hour) for hour in range(6, 30)]


def test_beyond_10_000_ids_the_oldest_are_forgotten() -> None:
    state = UserState()
    for number in range(MAX_EVENT_IDS + 3):
        assert not is_repeat(state, event(number, str(number)))
    assert len(state.event_ids) == MAX_EVENT_IDS
    assert next(iter(state.event_ids)) == "3"
    assert not is_repeat(state, event(MAX_EVENT_IDS + 3, "2"))
    assert is_repeat(state, event(MAX_EVENT_IDS + 3, "5"))


def test_an_event_without_an_id_is_no_repeat_and_leaves_no_trace() -> None:
    state = UserState()
    assert not is_repeat(state, event(5, None))
    assert state == UserState()


def test_an_event_below_the_cutover_of_a_slot_is_not_folded_into_it() -> None:
    plan, slots = plan_of([COUNT, COUNT], [0, 10]), UserState().slots
    for offset in (3, 9, 10, 11):
        fold(plan.by_event_type["view"], slots, event(0, None, offset))
    assert sorted(slots.values()) == [[2], [4]]
    assert [plan.segments[number].verdict(slots, 5)[0] for number in (1, 2)] == [True, False]


def test_an_event_of_another_type_reaches_nothing() -> None:
    plan, slots = plan_of([COUNT]), UserState().slots
    fold(plan.by_event_type.get("order", plan.other), slots, event(0))
    assert slots == {}
    assert plan.other == EventPlan()
