"""Where a definition refers to segments, and what the references of a tenant's segments form."""

from typing import Any

import pytest

from shared.domain.references import MAX_CHAIN, Reference, chain_length, circle, references_in, turned_around


def refers_to(segment_id: Any, **keys: Any) -> dict[str, Any]:
    return {"type": "segment_membership", "segment_id": segment_id, "operator": "in"} | keys


def group(*items: Any) -> dict[str, Any]:
    return {"logic": "AND", "conditions": list(items)}


def test_references_are_found_with_their_paths() -> None:
    count = {"type": "event_count", "event_type": "view", "operator": "gte", "value": 1}
    definition = group(count, refers_to(7), group(refers_to(9, negate=True), refers_to(7)))
    assert references_in(definition) == [
        Reference("$.conditions[1].segment_id", 7),
        Reference("$.conditions[2].conditions[0].segment_id", 9),
        Reference("$.conditions[2].conditions[1].segment_id", 7),
    ]


def test_a_reference_with_another_fault_is_one() -> None:
    assert references_in(group({"type": "segment_membership", "segment_id": 7, "operator": "near"}))


@pytest.mark.parametrize("segment_id", ["7", 7.0, True, 0, -1, 1 << 63, None, [7]])
def test_what_is_no_id_is_no_reference(segment_id: Any) -> None:
    assert references_in(group(refers_to(segment_id))) == []


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"conditions": 7}, {"conditions": [7, None, "x", []]}])
def test_what_is_no_definition_refers_to_nothing(raw: Any) -> None:
    assert references_in(raw) == []


def test_what_the_parser_does_not_look_at_is_passed_over() -> None:
    deep = group(refers_to(7))
    for _ in range(5):
        deep = group(deep)
    assert references_in(deep) == []
    assert len(references_in(group(*[refers_to(7)] * 101))) == 100


@pytest.mark.parametrize(
    ("edges", "new", "found"),
    [
        ({}, [2], ()),
        ({}, [1], (1, 1)),
        ({2: [1]}, [2], (1, 2, 1)),
        ({2: [3], 3: [4], 4: [1]}, [2], (1, 2, 3, 4, 1)),
        ({2: [3, 5], 3: [4], 4: [1], 5: [1]}, [2], (1, 2, 5, 1)),
        ({2: [3], 3: [4], 1: [4]}, [2], ()),
        ({2: [3], 3: [2]}, [2], ()),  # somebody else's, and no reason to go round for ever
    ],
)
def test_a_circle_is_named_by_its_shortest_way(
    edges: dict[int, list[int]], new: list[int], found: tuple[int, ...]
) -> None:
    assert circle(edges, 1, new) == found


def test_old_references_of_the_segment_itself_close_no_circle() -> None:
    assert circle({1: [2], 2: [1]}, 1, [3]) == ()


def test_the_length_of_the_longest_chain() -> None:
    edges = {1: [2, 3], 3: [4], 4: [2], 5: [1]}
    assert [chain_length(edges, start) for start in (1, 2, 3, 4, 5)] == [4, 1, 3, 2, 5]
    assert turned_around(edges) == {2: {1, 4}, 3: {1}, 4: {3}, 1: {5}}
    assert chain_length(turned_around(edges), 2) == 5


def test_a_chain_is_counted_to_its_limit() -> None:
    assert chain_length({number: [number + 1] for number in range(100)}, 0) == MAX_CHAIN + 1
    assert chain_length({1: [1]}, 1) == MAX_CHAIN + 1
