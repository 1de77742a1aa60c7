"""The evaluator's step against the oracle: the memberships it keeps, what it tells Redis, and when it looks again.

What the step leaves out (evaluations that nobody could see, ends that only move out) must show nowhere.
"""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.instants import text_of_us
from services.evaluator.answers import answer_to
from services.evaluator.state_records import PlanVersion
from services.evaluator.state_table import StateTable
from services.evaluator.step import Step
from services.evaluator.transition import LEAD_US, Outcome, packed
from services.evaluator.user import User
from services.evaluator.wishes import with_dependents
from shared.contracts.change import Change, decode_change
from shared.contracts.question import Tried, Try
from shared.contracts.redis_keys import SOFT, unpack_records
from shared.domain.event import Event
from shared.domain.fold import is_repeat
from shared.domain.plan import SlotPlan
from shared.domain.user_state import NEVER, Partial, UserState, decode_state
from tests.support import oracle
from tests.support.served import as_served
from tests.support.served_table import segment_record
from tests.support.strategies import alone, chains, definitions, families, logs, sharing_conditions
from tests.support.stream import is_member

KEY = b"1\0u"
served = st.one_of(st.lists(definitions, min_size=1, max_size=3), sharing_conditions.map(alone), families())


def history_of(slot: SlotPlan, log: list[Event]) -> Partial | None:
    """What the archived events give: those before the slot counts live."""
    seen, partial = UserState(), None
    for event in log:
        is_counted = event.event_id is None or not is_repeat(seen, event)
        if event.offset < slot.since and is_counted and slot.event_types.has(event.event_type):
            partial = slot.verbs.zero() if partial is None else partial
            slot.verbs.add(partial, event)
    return partial


class Evaluated:
    """One user of one partition, with some segments."""

    def __init__(self, followed: list[dict[str, Any]]) -> None:
        self.versions: dict[int, PlanVersion] = {}
        self.table = StateTable(0)
        for segment_id, definition in enumerate(followed, 1):
            self._put(segment_id, PlanVersion(1, definition, 0))
        self.table.compile()
        self.user = User(KEY, 1, "u", UserState())
        self.table.live[KEY] = self.user
        self.step = Step(self.table, 1)
        self.changes: list[Change] = []
        self.redis = b""
        self.log: list[Event] = []

    def take(self, event: Event) -> None:
        """The next event; now and then the user is read from its stored form first."""
        if event.offset % 5 == 4:
            stored = decode_state(self.user.encode(0))
            self.user = self.table.live[KEY] = User(KEY, 1, "u", stored)
        out = Outcome(self.table)
        self.step._fold_event(out, self.user, event, event.received_at)
        self._publish(out)
        self.log.append(event)

    def pass_time(self, until: int) -> None:
        out = Outcome(self.table)
        self.step.sweep(until, 10, out)
        self._publish(out)

    def begin(self, segment_id: int, number: int, definition: dict[str, Any]) -> PlanVersion:
        """A version begins to be computed: it counts live from now on, besides the one that serves."""
        version = PlanVersion(number, definition, self.user.state.applied_offset + 1, wish=number)
        version = self.table.planned(1, segment_id, version)
        self.table.put_segment(segment_record(segment_id, self.versions.get(segment_id), computing=version))
        self.table.compile()
        return version

    def merge(self, segment_id: int, version: PlanVersion) -> None:
        """History gives what the version lacks of the user; any number of times."""
        slots = self.table.lacking(segment_id, version)
        found = {slot.key: partial for slot in slots if (partial := history_of(slot, self.log)) is not None}
        self.step.merge(1, "u", found)

    def compute(self, segment_id: int, number: int, definition: dict[str, Any]) -> PlanVersion:
        """The version that comes of a compute that nothing comes between."""
        version = self.begin(segment_id, number, definition)
        self.merge(segment_id, version)
        return msgspec.structs.replace(version, lacking=())

    def wish(self, segment_id: int, version: PlanVersion | None, *, deleted: bool = False) -> list[Change]:
        """Follow a command as its walk does; what changed."""
        out, before = Outcome(self.table), len(self.changes)
        self._put(segment_id, version, deleted=deleted)
        self.table.compile()
        self.step.reconcile(KEY, with_dependents(self.table.plans[1], {segment_id}), out)
        self._publish(out)
        return self.changes[before:]

    def _put(self, segment_id: int, version: PlanVersion | None, *, deleted: bool = False) -> None:
        self.table.put_segment(segment_record(segment_id, version, deleted=deleted))
        self.versions.pop(segment_id, None)
        if version is not None:
            self.versions[segment_id] = version

    @property
    def definitions(self) -> dict[int, dict[str, Any]]:
        """Those that serve, as the oracle is asked about them."""
        return as_served({segment_id: version.definition for segment_id, version in self.versions.items()})

    def _publish(self, out: Outcome) -> None:
        self.changes += [decode_change(value) for _, value in out.changes]
        if out.users:
            self.redis = packed(self.user)
        stored, kept = decode_state(self.user.encode(0)), self.user.state
        assert stored.slots == kept.slots
        for segment_id, membership in stored.memberships.items():
            known = kept.memberships[segment_id]
            assert (membership.member, membership.sequence, membership.turns_at, membership.flags) == (
                known.member,
                known.sequence,
                known.turns_at,
                known.flags,
            )
            assert membership.recheck_at <= known.recheck_at  # looking once too often is allowed, too late is not

    def check(self, as_of: int) -> None:
        """Everything agrees with the oracle at `as_of`."""
        counted = oracle.counted(self.log)
        records = {record.segment_id: record for record in unpack_records(self.redis)}
        for segment_id in self.table.segments.keys() - self.versions.keys():
            gone = self.user.state.memberships.get(segment_id)
            assert gone is None or (not gone.member and not self.table.segments[segment_id].deleted)
            assert segment_id not in records
        for segment_id, definition in self.definitions.items():
            truth = oracle.member(definition, counted, as_of)
            membership = self.user.state.memberships.get(segment_id)
            assert (membership is not None and membership.member) is truth
            turn = oracle.next_turn(definition, counted, as_of)
            assert self.user.state.wake_at <= turn
            record = records.get(segment_id)
            if record is None:
                assert not truth
                assert turn == NEVER or self.user.state.wake_at <= turn - LEAD_US  # it will be told in time
                continue
            assert is_member(record, as_of) is truth
            assert record.turns_at <= turn  # an end is told too early only as soft
            assert record.turns_at == turn or record.flags & SOFT
            assert is_member(record, turn - 1) is truth
            if not record.flags & SOFT and turn != NEVER:
                assert is_member(record, turn) is not truth


@settings(max_examples=1_000)
@given(served, logs())
def test_memberships_redis_and_wakes_agree_with_the_oracle_after_every_event(
    followed: list[dict[str, Any]], log: list[Event]
) -> None:
    evaluated = Evaluated(followed)
    for event in log:
        evaluated.take(event)
        evaluated.check(event.received_at)


@settings(max_examples=500)
@given(served, logs(max_size=6))
def test_every_turn_is_a_change_at_its_instant(followed: list[dict[str, Any]], log: list[Event]) -> None:
    evaluated = Evaluated(followed)
    for event in log:
        evaluated.take(event)
    while (wake_at := evaluated.user.state.wake_at) != NEVER:
        evaluated.pass_time(wake_at)
        evaluated.check(wake_at)
        assert evaluated.user.state.wake_at > wake_at
    counted = oracle.counted(log)
    for segment_id, definition in evaluated.definitions.items():
        changes = [change for change in evaluated.changes if change.segment_id == segment_id]
        assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))
        kinds = [change.change for change in changes]
        assert kinds == (["entered", "exited"] * len(kinds))[: len(kinds)]
        last = log[-1].received_at
        turns, at = [], last
        while (at := oracle.next_turn(definition, counted, at)) != NEVER:
            turns.append(at)
        assert [change.at_us for change in changes if change.at_us > last] == turns


_wishes = st.tuples(
    st.integers(1, 4), st.sampled_from(("nothing", "switch", "restore", "deactivate", "delete")), definitions
)


@settings(max_examples=500)
@given(families() | chains(), st.lists(_wishes, min_size=8, max_size=8), logs(max_size=8))
def test_who_refers_to_a_segment_follows_what_becomes_of_it(
    family: list[dict[str, Any]], wishes: list[tuple[int, str, dict[str, Any]]], log: list[Event]
) -> None:
    """Switched to another version, deactivated, restored or deleted: at the same instant all answers are right."""
    evaluated, deleted = Evaluated(family), set[int]()
    for number, (event, (segment_id, what, definition)) in enumerate(zip(log, wishes, strict=False), 2):
        evaluated.take(event)
        if what == "nothing" or segment_id > len(family) or segment_id in deleted:
            continue
        version = None
        if what in ("switch", "restore"):
            version = evaluated.compute(segment_id, number, definition if what == "switch" else family[segment_id - 1])
        elif what == "delete":
            deleted.add(segment_id)
        changes = evaluated.wish(segment_id, version, deleted=what == "delete")
        now = evaluated.user.state.as_of
        evaluated.check(now)
        own = {"deactivate": "deactivated", "delete": "deleted"}.get(what, "computed")
        for change in changes:
            assert (change.at_us, change.reason) == (now, own if change.segment_id == segment_id else "computed")
    evaluated.check(evaluated.user.state.as_of)


_stage = st.sampled_from(("event", "event", "begin", "begin", "merge", "crash", "drop", "switch"))
_versions = st.lists(definitions, min_size=1, max_size=4) | sharing_conditions.map(alone)


@settings(max_examples=1_000)
@given(served, _versions, st.lists(_stage, min_size=8, max_size=24), logs(min_size=4))
def test_a_backfill_gives_each_user_all_its_history_once(
    followed: list[dict[str, Any]], versions: list[dict[str, Any]], stages: list[str], log: list[Event]
) -> None:
    """Whatever comes between: events, merging again, a crash, a compute that is dropped and one that follows it."""
    evaluated, computing, events = Evaluated(followed), None, iter(log)
    evaluated.take(next(events))
    for number, stage in enumerate(stages, 2):
        match stage, computing:
            case "event", _:
                if (event := next(events, None)) is not None:
                    evaluated.take(event)
            case "begin", None:
                computing = evaluated.begin(1, number, versions[number % len(versions)])
            case "merge", PlanVersion():
                evaluated.merge(1, computing)
            case "drop", PlanVersion():
                evaluated.wish(1, evaluated.versions[1])
                computing = None
            case "crash", _:
                evaluated.user = evaluated.table.live[KEY] = User(KEY, 1, "u", decode_state(evaluated.user.encode(0)))
            case "switch", PlanVersion():
                evaluated.merge(1, computing)
                whole = evaluated.table.complete(1, computing).computing
                evaluated.wish(1, whole)
                computing = None
        evaluated.check(evaluated.user.state.as_of)
    if computing is not None:
        evaluated.merge(1, computing)
        evaluated.wish(1, evaluated.table.complete(1, computing).computing)
    evaluated.check(evaluated.user.state.as_of)
    assert evaluated.user.state.slots.keys() <= evaluated.table.plans[1].slots.keys(), "nothing is left behind"


def as_sent(event: Event) -> bytes:
    """The event as a value of the topic."""
    keys = {"event_type": event.event_type, "payload": event.payload, "occurred_at": text_of_us(event.occurred_at)}
    with_id = {} if event.event_id is None else {"event_id": event.event_id}
    return json.dumps({"tenant": 1, "user_id": "u"} | keys | with_id).encode()


@settings(max_examples=500)
@given(served, logs())
def test_an_event_that_is_tried_turns_what_it_then_turns(followed: list[dict[str, Any]], log: list[Event]) -> None:
    evaluated = Evaluated(followed)
    table, memberships = evaluated.table, evaluated.user.state.memberships
    for event in log:
        evaluated.pass_time(event.received_at)
        table.record.clock, table.next_offset = event.received_at, event.offset
        if not evaluated.log:
            del table.live[KEY]  # known by the event only
        stored = evaluated.user.encode(0)
        said = answer_to(Try(as_sent(event)), table)
        assert evaluated.user.encode(0) == stored
        table.live[KEY] = evaluated.user
        before = {segment_id for segment_id, m in memberships.items() if m.member}
        evaluated.take(event)
        memberships = evaluated.user.state.memberships
        after = {segment_id for segment_id, m in memberships.items() if m.member}
        assert isinstance(said, Tried)
        assert (said.entered, said.exited) == (sorted(after - before), sorted(before - after))
        assert said.unchanged == len(followed) - len(after ^ before)
