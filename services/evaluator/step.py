"""The step on one batch of one partition: decode -> drop repeats -> fold -> evaluate. Publishing follows it.

Pure but for the table it works on: the clock is the broker's append time, and nothing here waits.
"""

from collections.abc import Sequence

from services.evaluator.records import Record
from services.evaluator.state_table import StateTable, User
from services.evaluator.transition import Outcome, advance, settle, withdraw
from shared.contracts.event import EventMessage, decode_event, to_event
from shared.contracts.keys import partition_of, user_key
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.domain.fold import fold, is_repeat

DeadLetter = tuple[Record, str]
"""A record nobody can use, and why."""


class Step:
    """Folds and evaluates records of one partition."""

    applied_offset_guard = True
    """An event at or below a user's applied offset is in its state already. Off only to show what it guards."""

    def __init__(self, table: StateTable, partitions: int) -> None:
        self._table, self._partitions = table, partitions

    def fold_records(self, records: Sequence[Record], out: Outcome) -> list[DeadLetter]:
        """Take in records in the order of their offsets; returns the unusable ones. `out` gathers what turned."""
        table, dead = self._table, []
        clock, get_live = table.record.clock, table.live.get
        for record in records:
            received_at = record.timestamp * 1000
            clock = max(clock, received_at)
            try:
                message = decode_event(record.value or b"")
                event = to_event(message, received_at, record.offset)
                user = get_live(record.key) or table.user(record.key or b"")  # type: ignore[arg-type]
                if user is None:
                    user = self._new_user(record, message)
                elif user.user_id != message.user_id or user.tenant != message.tenant:
                    raise _wrong_key(record, message)
            except InvalidEvent as fault:
                dead.append((record, str(fault)))
                continue
            if record.offset > user.state.applied_offset or not self.applied_offset_guard:
                self._fold_event(out, user, event, clock)
        table.record.clock = clock
        return dead

    def sweep(self, until: int, limit: int, out: Outcome) -> int:
        """Let time pass for at most `limit` users due at `until`; returns how many it was."""
        done = 0
        for user in self._table.due(until, limit):
            advance(out, self._table.plans.get(user.tenant), user, until)
            done += 1
        return done

    def reconcile(self, key: bytes, segment_ids: set[int], out: Outcome) -> None:
        """Give one user the answer of the current plan on these segments, whatever it was before."""
        user, table = self._table.user(key), self._table
        if user is None:
            return
        as_of = max(table.record.clock, user.state.as_of)
        plan = table.plans.get(user.tenant)
        if user.state.wake_at <= as_of:
            advance(out, plan, user, as_of)  # nothing is evaluated at an earlier instant than the last
        for segment_id in segment_ids:
            segment = plan.segments.get(segment_id) if plan is not None else None
            if segment is None:
                reason = "deleted" if table.segments[segment_id].deleted else "deactivated"
                withdraw(out, user, segment_id, as_of, reason)  # type: ignore[arg-type] # a Reason, both
            else:
                settle(out, user, segment, segment.verdict(user.state.slots, as_of), as_of, "computed")
        user.state.as_of = as_of
        if plan is not None:
            stale = user.state.slots.keys() - plan.slot_keys
            for slot in stale:
                del user.state.slots[slot]
        table.dirty[key] = None

    def _fold_event(self, out: Outcome, user: User, event: Event, as_of: int) -> None:
        state, table = user.state, self._table
        plan = table.plans.get(user.tenant)
        if state.wake_at <= as_of:
            advance(out, plan, user, as_of)
        is_new = state.applied_offset < 0
        state.applied_offset = event.offset
        table.dirty[user.key] = None
        if plan is None or (event.event_id is not None and is_repeat(state, event)):
            return
        touched = plan.by_event_type.get(event.event_type, plan.other)
        slots, memberships = state.slots, state.memberships
        fold(touched, slots, event)
        for segment in plan.segments.values() if is_new else touched.segments:
            verdict = segment.verdict(slots, as_of)
            membership = memberships.get(segment.segment_id)
            if membership is None or membership.recheck_at != verdict[1] or membership.member != verdict[0]:
                settle(out, user, segment, verdict, as_of, "event")
        state.as_of = as_of

    def _new_user(self, record: Record, message: EventMessage) -> User:
        key = user_key(message.tenant, message.user_id)
        if record.key != key:
            raise _wrong_key(record, message)
        partition = partition_of(key, self._partitions)
        if partition != self._table.partition:
            raise InvalidEvent(
                "key",
                f"the key belongs to partition {partition}, not {self._table.partition}: "
                "the producer must partition as Java clients do (librdkafka: partitioner=murmur2_random)",
            )
        return self._table.add_user(key, message.tenant, message.user_id)


def _wrong_key(record: Record, message: EventMessage) -> InvalidEvent:
    if record.key is None:
        return InvalidEvent("key", "missing; it must be <tenant id> NUL <user id>")
    return InvalidEvent("key", f"not that of tenant {message.tenant} and the event's user_id")
