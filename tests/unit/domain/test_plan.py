"""The plan: what is shared, what an event touches, and what a state may drop."""

from typing import Any

from msgspec.structs import replace

from shared.domain.compiled_segment import Activation, slot_since
from shared.domain.definition import parse_definition
from shared.domain.event import Event
from shared.domain.fold import fold
from shared.domain.plan import compile_plan
from shared.domain.user_state import Slots

SECOND = 1_000_000
DAY = 86_400 * SECOND


def count(event_type: str, **keys: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": event_type, "operator": "gte", "value": 1} | keys


def activation(segment_id: int, *conditions: Any, since: int = 0, serving: bool = True, version: int = 1) -> Activation:
    definition = parse_definition({"logic": "OR", "conditions": list(conditions)})
    return Activation(segment_id, version, definition, since, serving)


def test_conditions_that_differ_in_number_window_and_operator_share_a_slot() -> None:
    plan = compile_plan(
        [
            activation(1, count("view", window_days=1), count("view", window_hours=3, operator="lt", value=9)),
            activation(2, count("view", window_days=9, operator="eq", negate=True)),
        ]
    )
    assert len(plan.by_event_type["view"].slots) == len(plan.slots) == 1
    assert list(plan.by_event_type["view"].segments) == [1, 2]


def test_event_type_property_window_or_none_and_cutover_part_slots() -> None:
    plan = compile_plan(
        [
            activation(1, count("view"), count("order"), count("view", window_days=1)),
            activation(2, {"type": "recency", "event_type": "view", "operator": "lt", "window_days": 1}),
            activation(3, count("view"), since=7),
        ]
    )
    assert len(plan.slots) == 5
    assert {key.split("@")[1] for key in plan.slots} == {"0", "7"}


def test_a_slot_keeps_one_more_than_the_most_demanding_condition_needs() -> None:
    conditions = [count("view", window_days=1, operator=op, value=n) for op, n in (("gte", 3), ("lte", 4), ("lt", 5))]
    slot = compile_plan([activation(1, *conditions)]).by_event_type["view"].slots[0]
    assert slot.windows == (86_400_000_000,)
    assert slot.verbs.merge([0, 1, 2, 3, 4], [0, 5, 6, 7, 8]) == [0, 3, 4, 5, 6, 7, 8]


def test_a_list_outlives_the_condition_that_needed_more_of_it() -> None:
    few = count("view", window_days=30, value=2)
    for needed in (5, 6_000):
        before = compile_plan([activation(1, few), activation(2, count("view", window_days=30, value=needed))])
        after = compile_plan([activation(1, few)])
        events = [Event("u", "view", second * SECOND, second * SECOND, second, {}) for second in range(9_002)]
        slots: Slots = {}
        for number, event in enumerate(events):
            fold((before if number < 9_000 else after).by_event_type["view"], slots, event)
        assert list(slots.values()) == [[0, 8_999 * SECOND, 9_000 * SECOND, 9_001 * SECOND]]
        assert after.segments[1].verdict(slots, 9_001 * SECOND) == (True, 9_000 * SECOND + 30 * DAY)


def test_buckets_stay_while_single_times_are_too_few() -> None:
    needing = {n: activation(1, count("view", window_days=30, value=n)) for n in (3_500, 6_000)}
    before, after = (compile_plan([needing[n]]) for n in (6_000, 3_500))
    events = [Event("u", "view", second * SECOND, second * SECOND, second, {}) for second in range(6_500)]
    slots: Slots = {}
    for number, event in enumerate(events):
        fold((before if number < 6_200 else after).by_event_type["view"], slots, event)
    member, turn = after.segments[1].verdict(slots, 6_499 * SECOND)
    exact = 3_000 * SECOND + 30 * DAY
    assert member
    assert exact <= turn <= exact + 30 * DAY // 1024


def test_a_computing_version_gathers_state_and_answers_nothing() -> None:
    serving = activation(1, count("view"), version=1)
    computing = activation(1, count("order"), version=2, since=9, serving=False)
    plan = compile_plan([serving, computing])
    assert plan.segments[1].version == 1
    assert plan.by_event_type["order"].segments == {}
    assert len(plan.by_event_type["order"].slots) == 1


def test_a_segment_is_touched_by_every_event_type_it_names_and_by_no_other() -> None:
    plan = compile_plan([activation(1, count("view"), count("order")), activation(2, count("order"))])
    touched = {name: list(event.segments) for name, event in plan.by_event_type.items()}
    assert touched == {"view": [1], "order": [1, 2]}


def test_a_plan_of_nothing_is_empty() -> None:
    plan = compile_plan([])
    assert (plan.by_event_type, plan.segments, plan.slots) == ({}, {}, {})


def test_a_definition_finds_gathered_what_suffices_for_it() -> None:
    day, week = {"window_days": 1}, {"window_days": 7}
    spent = {
        "type": "monetary",
        "event_type": "order",
        "property": "total",
        "metric": "sum",
        "operator": "gt",
        "value": 1,
    }
    first = activation(1, count("view", value=3, **week), count("order"), spent | week, since=5)
    plan = compile_plan([first, activation(2, count("view", value=3, **week), since=9)])

    def gathered(*conditions: dict[str, Any]) -> list[int]:
        return list(map(slot_since, plan.gathered(activation(3, *conditions).definition).values()))

    assert gathered(count("view", value=3, window_days=30)) == [5], "the newest times decide windows of any length"
    assert gathered(count("view", value=4, **day)) == [], "three are kept"
    assert gathered(count("view", value=2, **day), count("view", value=9, **day)) == [], "all of them or none"
    assert gathered(count("order", value=70, operator="lt")) == [5]
    assert gathered(spent | day | {"metric": "max"}) == [5]
    assert gathered(spent | {"window_days": 8}) == []
    assert gathered(count("signup"), spent) == [], "not followed so far"


def test_a_list_that_may_have_come_to_its_bound_serves_no_longer_window() -> None:
    for kept, found in ((4_095, [5]), (4_096, [])):
        plan = compile_plan([activation(1, count("view", value=kept, window_days=7), since=5)])
        longer = activation(2, count("view", value=kept, window_days=8)).definition
        assert list(map(slot_since, plan.gathered(longer).values())) == found


def test_what_is_inherited_lies_in_one_slot() -> None:
    first = activation(1, count("order"), count("view"))
    gathered = compile_plan([first]).gathered(activation(2, count("order", value=5), count("signup")).definition)
    second = replace(activation(2, count("order", value=5), count("signup"), since=40), inherited=gathered)
    plan = compile_plan([first, second])
    assert sorted(slot.since for slot in plan.slots.values()) == [0, 0, 40]
