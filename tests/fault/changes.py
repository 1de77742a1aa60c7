"""C4: what a reader of membership-changes sees once it drops repeats by id."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.support.stream import Membership
from tests.support.truth import differences

Place = tuple[int, str]
"""Segment and user."""


def wrong_changes(changes: Iterable[dict[str, Any]], expected: Membership) -> list[str]:
    """Changes must alternate per segment, user and generation, beginning with `entered`, and end where the truth is.

    No id stands for two contents, no generation begins again after a higher one, and within one no change lies before
    the last (a rebuild tells of the past again).
    """
    faults: list[str] = []
    seen: dict[str, dict[str, Any]] = {}
    last: dict[Place, dict[str, Any]] = {}
    for change in changes:
        known = seen.setdefault(change["id"], change)
        if known is not change:
            if known != change:
                faults.append(f"{change['id']} was used for two changes: {known} and {change}")
            continue
        place = change["segment_id"], change["user_id"]
        faults += _wrong_step(last.get(place), change)
        last[place] = change
    members: Membership = defaultdict(set)
    for (segment_id, user_id), change in last.items():
        if change["change"] == "entered":
            members[segment_id].add(user_id)
    return faults + [f"changes: {line}" for line in differences(expected, members)]


def _wrong_step(before: dict[str, Any] | None, change: dict[str, Any]) -> list[str]:
    """What is wrong with a change after the last one of its segment and user."""
    if before is not None and change["generation"] < before["generation"]:
        return [f"{change['id']}: of an earlier generation than {before['id']}"]
    first = before is None or change["generation"] > before["generation"]
    wanted = "entered" if first or before["change"] == "exited" else "exited"  # type: ignore[index] # not first
    faults = [] if change["change"] == wanted else [f"{change['id']}: {change['change']} where {wanted} was due"]
    if before is not None and not first and change["at_us"] < before["at_us"]:
        faults.append(f"{change['id']}: at {change['at_us']}, before {before['id']} at {before['at_us']}")
    return faults
