"""What must be in state and Redis, computed from the log alone: by the naive oracle, and by folding it anew."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import user_key
from shared.domain.compiled_segment import Activation
from shared.domain.condition import references
from shared.domain.definition import parse_definition
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.domain.fold import fold, is_repeat
from shared.domain.plan import compile_plan
from shared.domain.user_state import UserState
from tests.support import oracle
from tests.support.stream import Membership, Stream

Definitions = dict[int, dict[str, Any]]
Cutovers = dict[tuple[int, int], int]
"""(segment id, partition) -> first offset that counts."""
_EVERYBODY: dict[str, Any] = {"logic": "AND", "conditions": []}
_NOBODY: dict[str, Any] = {"logic": "OR", "conditions": []}


class Truth:
    """All events of a stream's tenant in its log, by partition and user."""

    def __init__(
        self, stream: Stream, definitions: Definitions, of_interest: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.definitions = definitions
        self._tenant, self._order = stream.tenant, _referred_first(definitions)
        self.events: dict[int, dict[str, list[Event]]] = {}
        self.records = 0
        for message in stream.read("events", stream.partitions):
            self.records += 1
            try:
                decoded = decode_event(message.value() or b"")
                event = to_event(decoded, message.timestamp()[1] * 1000, message.offset() or 0)
            except InvalidEvent:
                continue
            if decoded.tenant != stream.tenant or not of_interest(decoded.user_id):
                continue
            users = self.events.setdefault(message.partition() or 0, {})
            users.setdefault(decoded.user_id, []).append(event)
        self.cutovers: Cutovers = {
            (report.id, report.partition): report.cutover or 0
            for report in stream.reports()
            if report.kind == "segment"
        }

    def memberships(self, as_of: int) -> Membership:
        """Who is in which segment at `as_of`, by the naive oracle."""
        found: Membership = {}
        for partition, users in self.events.items():
            since = {segment_id: self.cutovers[segment_id, partition] for segment_id in self.definitions}
            for user_id, events in users.items():
                for segment_id in self._segments_of(events, since, as_of):
                    found.setdefault(segment_id, set()).add(user_id)
        return found

    def _segments_of(self, events: Sequence[Event], since: Mapping[int, int], as_of: int) -> list[int]:
        """The segments that a user with these events is in; each counts the events since its own cutover."""
        counted = {offset: oracle.counted(events, offset) for offset in set(since.values())}
        answers: Definitions = {}
        for segment_id in self._order:
            definition = oracle.with_references(self.definitions[segment_id], answers)
            is_member = oracle.member(definition, counted[since[segment_id]], as_of)
            answers[segment_id] = _EVERYBODY if is_member else _NOBODY
        return [segment_id for segment_id, answer in answers.items() if answer is _EVERYBODY]

    def states(self) -> dict[bytes, UserState]:
        """Every user's partials and event ids, by folding the log from its beginning, each event once."""
        found = {}
        for partition, users in self.events.items():
            plan = compile_plan(
                Activation(segment_id, 1, parse_definition(definition), self.cutovers[segment_id, partition], True)
                for segment_id, definition in self.definitions.items()
            )
            for user_id, events in users.items():
                state = found[user_key(self._tenant, user_id)] = UserState()
                for event in events:
                    if event.event_id is None or not is_repeat(state, event):
                        fold(plan.by_event_type.get(event.event_type, plan.other), state.slots, event)
        return found


def _referred_first(definitions: Definitions) -> list[int]:
    """The segments, those referred to before those that refer to them. There is no circle."""
    ordered: dict[int, None] = {}

    def put(segment_id: int) -> None:
        if segment_id in ordered:
            return
        for other in sorted(references(parse_definition(definitions[segment_id]))):
            if other in definitions:
                put(other)
        ordered[segment_id] = None

    for segment_id in definitions:
        put(segment_id)
    return list(ordered)


def differences(expected: Membership, found: Membership) -> list[str]:
    """The memberships that differ, in words; empty when none does."""
    return [
        f"segment {segment_id}: {user_id} {'missing' if user_id in expected.get(segment_id, set()) else 'too much'}"
        for segment_id in sorted(expected.keys() | found.keys())
        for user_id in sorted(expected.get(segment_id, set()) ^ found.get(segment_id, set()))
    ]
