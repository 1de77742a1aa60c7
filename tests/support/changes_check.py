"""The table of changes held against the topic: each change once, positions without a gap, and nothing else."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from shared.history.snapshot import Snapshot
from tests.support.history_check import rows_of
from tests.support.stream import Stream

Membership = tuple[int, str]
"""Segment and user."""
Told = tuple[Any, ...]
_FIELDS = ("tenant", "version", "change", "at_us", "reason", "generation", "sequence")
_COLUMNS = ", ".join(_FIELDS).replace("at_us", "epoch_us(turned_at)")


def change_differences(stream: Stream, snapshot: Snapshot) -> list[str]:
    """What is wrong with the changes archived, all of the topic being so; empty: nothing."""
    rows = sorted(rows_of(snapshot, f"position, segment_id, user_id, {_COLUMNS}"))
    positions = [row[0] for row in rows]
    faults = [] if positions == list(range(1, len(rows) + 1)) else [f"positions are not dense: {positions}"]
    found: dict[Membership, list[Told]] = defaultdict(list)
    for _, segment_id, user_id, *fields in rows:
        found[segment_id, user_id].append(tuple(fields))
    expected = distinct(stream.changes())
    return faults + [
        f"changes of {place}: {found[place]} instead of {expected.get(place)}"
        for place in sorted(found.keys() | expected.keys())
        if found[place] != expected.get(place, [])
    ]


def distinct(changes: Iterable[dict[str, Any]]) -> dict[Membership, list[Told]]:
    """What a reader of the topic takes: of each membership what is above the last change and says something else."""
    taken: dict[Membership, list[Told]] = {}
    last: dict[Membership, tuple[int, int]] = {}
    for change in changes:
        place = change["segment_id"], change["user_id"]
        number = change["generation"], change["sequence"]
        told = tuple(change[name] for name in _FIELDS)
        before = taken.setdefault(place, [])
        if number > last.get(place, (-1, -1)):
            last[place] = number
            if not before or before[-1][2] != change["change"]:
                before.append(told)
    return taken
