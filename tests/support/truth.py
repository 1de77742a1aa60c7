"""What must be in state and Redis, computed from the log alone: by the naive oracle, and by folding it anew."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.contracts.event import decode_event, to_event
from shared.contracts.keys import user_key
from shared.domain.compiled_segment import Activation
from shared.domain.definition import parse_definition
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.domain.fold import fold, is_repeat
from shared.domain.plan import compile_plan
from shared.domain.user_state import UserState
from tests.support import oracle
from tests.support.served import as_served
from tests.support.stream import Membership, Stream

Definitions = dict[int, dict[str, Any]]


class Truth:
    """All events of a stream's tenant in its log, by partition and user."""

    def __init__(
        self, stream: Stream, definitions: Definitions, of_interest: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.definitions = definitions
        self._tenant = stream.tenant
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

    def memberships(self, as_of: int, end: Mapping[int, int] | None = None) -> Membership:
        """Who is in which segment at `as_of`, by the naive oracle; in a partition of `end` by the events before it."""
        found: Membership = {}
        served = as_served(self.definitions)
        for partition, users in self.events.items():
            for user_id, events in users.items():
                folded = events if end is None else [event for event in events if event.offset < end[partition]]
                for segment_id in _segments_of(folded, served, as_of) if folded else ():
                    found.setdefault(segment_id, set()).add(user_id)
        return found

    def states(self) -> dict[bytes, UserState]:
        """Every user's partials and event ids, by folding the log from its beginning, each event once."""
        found = {}
        plan = compile_plan(
            Activation(segment_id, 1, parse_definition(definition), 0, serving=True)
            for segment_id, definition in self.definitions.items()
        )
        for users in self.events.values():
            for user_id, events in users.items():
                state = found[user_key(self._tenant, user_id)] = UserState()
                for event in events:
                    if event.event_id is None or not is_repeat(state, event):
                        fold(plan.by_event_type.get(event.event_type, plan.other), state.slots, event)
        return found


def _segments_of(events: Sequence[Event], served: Definitions, as_of: int) -> list[int]:
    """The segments a user with these events is in; what several conditions ask alike is answered once."""
    counted, said = oracle.counted(events), dict[int, bool]()

    def answer_of(condition: dict[str, Any]) -> bool:
        if id(condition) not in said:
            said[id(condition)] = oracle.answer(condition, counted, as_of)
        return said[id(condition)]

    return [segment_id for segment_id, definition in served.items() if oracle.combined(definition, answer_of)]


def differences(expected: Membership, found: Membership) -> list[str]:
    """The memberships that differ, in words; empty when none does."""
    return [
        f"segment {segment_id}: {user_id} {'missing' if user_id in expected.get(segment_id, set()) else 'too much'}"
        for segment_id in sorted(expected.keys() | found.keys())
        for user_id in sorted(expected.get(segment_id, set()) ^ found.get(segment_id, set()))
    ]
