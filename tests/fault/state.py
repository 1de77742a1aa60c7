"""The state test: what a group of workers leaves in changelog, Redis and changes after kills and moves, against
the log itself."""

from typing import Any, NamedTuple

from tests.support.evaluators import wait_for
from tests.support.stream import Membership, Stream
from tests.support.truth import Truth, differences

DAY = 86_400_000_000
PARTITIONS = 12

SUM: dict[str, Any] = {
    "type": "monetary",
    "event_type": "order_placed",
    "property": "total",
    "metric": "sum",
    "operator": "gte",
    "value": 1900,
}


def _count(event_type: str, operator: str, value: int, **more: Any) -> dict[str, Any]:
    return {"type": "event_count", "event_type": event_type, "operator": operator, "value": value} | more


def _recency(event_type: str, operator: str, **window: Any) -> dict[str, Any]:
    return {"type": "recency", "event_type": event_type, "operator": operator} | window


_CONDITIONS: list[list[dict[str, Any]]] = [
    [_count("page_viewed", "gte", 40)],
    [_count("order_placed", "eq", 37)],
    [_count("page_viewed", "gte", 30, window_days=7)],
    [_count("cart_add", "lt", 38, window_hours=5)],
    [_count("signup", "gte", 2, window_seconds=3)],
    [_recency("signup", "lte", window_days=30)],
    [_recency("cart_add", "gt", window_seconds=4)],
    [SUM],
    [SUM | {"metric": "avg", "operator": "lt", "value": 50}],
    [SUM | {"metric": "max", "operator": "gte", "value": 99.5, "window_days": 1}],
    [SUM | {"value": 1800, "window_days": 1}, _count("signup", "lt", 36, negate=True)],
]
DEFINITIONS: dict[int, dict[str, Any]] = {
    number: {"logic": "AND", "conditions": conditions} for number, conditions in enumerate(_CONDITIONS, start=1)
}


class Verdict(NamedTuple):
    """What was compared and what differed."""

    records: int
    users: int
    wrong_states: list[str]
    wrong_values: list[str]
    wrong_sets: list[str]
    wrong_changes: list[str]
    commits_ahead: list[str]

    @property
    def differences(self) -> list[str]:
        """Everything that is wrong."""
        return self.wrong_states + self.wrong_values + self.wrong_sets + self.wrong_changes + self.commits_ahead


def compare(stream: Stream) -> Verdict:
    """Wait until all is committed and the short windows are over, then hold everything against the log."""
    stream.await_committed(120)
    wait_for(lambda: _short_windows_are_over(stream), 30, "the short windows are over and swept")
    as_of = _clock(stream)
    truth = Truth(stream, DEFINITIONS)
    states, partitions = stream.states()
    expected = truth.memberships(as_of)
    slots = truth.slots()
    wrong_states = [
        f"{key!r}: {states[key].slots if key in states else None} instead of {wanted}"
        for key, wanted in slots.items()
        if key not in states or states[key].slots != wanted
    ]
    return Verdict(
        truth.records,
        len(slots),
        wrong_states,
        differences(expected, stream.memberships(as_of)),
        differences(expected, stream.member_sets()),
        _wrong_changes(stream, expected),
        [
            f"partition {p}: committed {offset}, flushed through {partitions[p].flushed_through}"
            for p, offset in stream.committed().items()
            if offset > partitions[p].flushed_through
        ],
    )


def _clock(stream: Stream) -> int:
    """An instant that every partition has reached."""
    return min(int(stream.redis.get(b"{%d}:clock" % p)) for p in range(stream.partitions))


def _short_windows_are_over(stream: Stream) -> bool:
    newest = max(m.timestamp()[1] for m in stream.read("events", stream.partitions)) * 1000
    # longest short window, the sweep, and a second for its publication
    return _clock(stream) > newest + 6_000_000


def _wrong_changes(stream: Stream, expected: Membership) -> list[str]:
    """Changes must alternate per user and segment once repeats are dropped, and end where the truth is."""
    faults: list[str] = []
    seen: dict[str, dict[str, Any]] = {}
    last: dict[tuple[int, str], str] = {}
    for change in stream.changes():
        known = seen.setdefault(change["id"], change)
        if known is not change:
            if known != change:
                faults.append(f"{change['id']} was used for two changes: {known} and {change}")
            continue
        place = change["segment_id"], change["user_id"]
        if last.get(place, "exited") == change["change"]:
            faults.append(f"{place}: {change['change']} twice running ({change['id']})")
        last[place] = change["change"]
    members: Membership = {}
    for (segment_id, user_id), kind in last.items():
        if kind == "entered":
            members.setdefault(segment_id, set()).add(user_id)
    return faults + [f"changes: {line}" for line in differences(expected, members)]
