"""References between segments: where a definition holds them, and whether they would lead back to their segment."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from shared.domain.definition import MAX_CONDITIONS, MAX_DEPTH, MAX_ITEMS

MAX_CHAIN = 20
"""Segments that refer to each other one after the other, both ends counted: each is asked within the one before."""

Edges = Mapping[int, Collection[int]]
"""Segment id -> the ids of the segments that it refers to."""


class Reference(NamedTuple):
    """A reference of a definition: the JSON path of the id, and the id."""

    path: str
    segment_id: int


def references_in(raw: object) -> list[Reference]:
    """The references of a definition as it was written, in their order; no more than a definition may hold.

    Args:
        raw: the decoded JSON of a definition, which may have faults: what is no reference is passed over.
    """
    return _of_group(raw, "$", 1)[:MAX_CONDITIONS]


def circle(edges: Edges, segment_id: int, refers_to: Collection[int]) -> tuple[int, ...]:
    """The shortest way from a segment back to itself, both ends included, if it referred to these; empty if none."""
    came_from: dict[int, int] = {}
    reached = [segment_id]
    following: Collection[int] = refers_to
    for place in reached:
        for other in sorted(following if place == segment_id else edges.get(place, ())):
            if other == segment_id:
                return _way(came_from, segment_id, place)
            if other not in came_from:
                came_from[other] = place
                reached.append(other)
    return ()


def chain_length(edges: Edges, start: int) -> int:
    """How many segments the longest chain of references from `start` on has, itself included.

    Not counted beyond MAX_CHAIN + 1, which also stands for a circle.
    """
    length, reached = 1, set(edges.get(start, ()))
    while reached and length <= MAX_CHAIN:
        length += 1
        reached = {other for place in reached for other in edges.get(place, ())}
    return length


def turned_around(edges: Edges) -> dict[int, set[int]]:
    """Segment id -> the ids of the segments that refer to it."""
    referrers: dict[int, set[int]] = {}
    for place, others in edges.items():
        for other in others:
            referrers.setdefault(other, set()).add(place)
    return referrers


def _of_group(raw: object, path: str, depth: int) -> list[Reference]:
    items = raw.get("conditions") if isinstance(raw, dict) else None
    if depth > MAX_DEPTH or not isinstance(items, list):
        return []
    return [
        reference
        for index, item in enumerate(items[:MAX_ITEMS])
        for reference in _of_item(item, f"{path}.conditions[{index}]", depth)
    ]


def _of_item(raw: object, path: str, depth: int) -> list[Reference]:
    if not isinstance(raw, dict):
        return []
    if "type" not in raw:
        return _of_group(raw, path, depth + 1)
    segment_id = raw.get("segment_id")
    if raw["type"] != "segment_membership" or type(segment_id) is not int or not 0 < segment_id < 1 << 63:
        return []
    return [Reference(f"{path}.segment_id", segment_id)]


def _way(came_from: Mapping[int, int], segment_id: int, last: int) -> tuple[int, ...]:
    way = [segment_id]
    while last != segment_id:
        way.append(last)
        last = came_from[last]
    return (segment_id, *reversed(way))
