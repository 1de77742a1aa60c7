"""The step on one batch of one partition: decode -> drop repeats -> fold -> evaluate. Publishing follows it.

Pure but for the table it works on: the clock is the broker's append time, and nothing here waits.
"""

from collections.abc import Sequence

from services.evaluator.records import Record
from services.evaluator.state_table import StateTable
from services.evaluator.transition import Outcome, advance, settle, withdraw
from services.evaluator.user import User
from shared.contracts.event import EventMessage, decode_event, to_event
from shared.contracts.keys import checked_key, user_key, wrong_key
from shared.domain.compiled_segment import CompiledSegment
from shared.domain.errors import InvalidEvent
from shared.domain.event import Event
from shared.domain.fold import MAX_EVENT_IDS, fold, fold_and_watch, is_repeat
from shared.domain.plan import EventPlan, Plan
from shared.domain.user_state import Slots, UserState

EVALUATIONS_AT_ONCE = 4
"""A user with more events than this among the records taken in together, and more numbers in its lists than LONG, is
evaluated once more at their end instead of at each: `docs/decisions/0017-a-hot-user-is-evaluated-less-often.md`."""
LONG = 2_048

DeadLetter = tuple[Record, str]
"""A record nobody can use, and why."""


class Step:
    """Folds and evaluates records of one partition."""

    applied_offset_guard = True
    """An event at or below a user's applied offset is in its state already. Off only to show what it guards."""

    def __init__(self, table: StateTable, partitions: int) -> None:
        self._table, self._partitions = table, partitions
        self._round = 0
        self._postponed: dict[bytes, tuple[User, dict[int, CompiledSegment]]] = {}

    def fold_records(self, records: Sequence[Record], out: Outcome) -> list[DeadLetter]:
        """Take in records in the order of their offsets; returns the unusable ones. `out` gathers what turned."""
        table, dead = self._table, []
        clock, get_live = table.record.clock, table.live.get
        self._round += 1
        for record in records:
            received_at = record.timestamp * 1000
            if received_at > clock:  # noqa: PLR1730 - max() costs five times this
                clock = received_at
            try:
                message = decode_event(record.value or b"")
                event = to_event(message, received_at, record.offset)
                user = get_live(record.key) or table.user(record.key or b"")  # type: ignore[arg-type]
                if user is None:
                    user = self._new_user(record, message)
                elif user.user_id != message.user_id or user.tenant != message.tenant:
                    raise wrong_key(record.key, message.tenant)
            except InvalidEvent as fault:
                dead.append((record, str(fault)))
                continue
            if record.offset > user.state.applied_offset or not self.applied_offset_guard:
                self._fold_event(out, user, event, clock)
        table.record.clock = clock
        for user, segments in self._postponed.values():
            self._evaluate(out, user, segments, user.state.as_of)
        self._postponed.clear()
        return dead

    def sweep(self, until: int, limit: int, out: Outcome) -> None:
        """Let time pass for at most `limit` users due at `until`."""
        for user in self._table.due(until, limit):
            advance(out, self._table.plans.get(user.tenant), user, until)

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
                settle(out, user, segment, as_of, "computed")
        user.state.as_of = as_of
        if plan is not None:
            stale = user.state.slots.keys() - plan.slots.keys()
            for slot in stale:
                del user.state.slots[slot]
        if user.state.merged:
            incomplete = table.incomplete(user.tenant)
            user.state.merged = tuple(key for key in user.state.merged if key in incomplete)
        table.dirty[key] = None

    def merge(self, tenant: int, user_id: str, found: Slots) -> None:
        """Add what history knows of one user to what the user's slots gathered live, each slot once."""
        table, key = self._table, user_key(tenant, user_id)
        plan, incomplete = table.plans[tenant], table.incomplete(tenant)
        user = table.user(key) or table.add_user(key, tenant, user_id)
        state = user.state
        missing = [slot for slot in found if slot in incomplete and slot not in state.merged]
        for slot in missing:
            live = state.slots.get(slot)
            state.slots[slot] = plan.slots[slot].verbs.merge(found[slot], live) if live else found[slot]
        if missing:
            state.merged += tuple(missing)
            user.awake_in = None  # what it has come to may be more now
            table.dirty[key] = None

    def _fold_event(self, out: Outcome, user: User, event: Event, as_of: int) -> None:
        state, table = user.state, self._table
        plan = table.plans.get(user.tenant)
        if state.as_of > as_of:  # noqa: PLR1730 - as above
            as_of = state.as_of  # a user's record may be durable when the record with the clock is not
        if state.wake_at <= as_of:
            advance(out, plan, user, as_of)
        is_new = state.applied_offset < 0
        state.applied_offset = event.offset
        state.as_of = as_of
        table.dirty[user.key] = None
        # the ids count from the first event on, whether a segment is followed yet or not
        if (event.event_id is not None and self._is_repeat(state, event)) or plan is None:
            return
        touched = plan.by_event_type.get(event.event_type, plan.other)
        if is_new:
            fold(touched, state.slots, event)
            self._evaluate(out, user, plan.segments, as_of)
        elif not touched.slots:
            return
        elif self._is_dear(user):
            fold(touched, state.slots, event)
            user.awake_in = None
            self._postponed.setdefault(user.key, (user, {}))[1].update(touched.segments)
        else:
            self._evaluate(out, user, self._fold_and_ask(user, plan, touched, event, as_of), as_of)

    def _fold_and_ask(
        self, user: User, plan: Plan, touched: EventPlan, event: Event, as_of: int
    ) -> dict[int, CompiledSegment]:
        """Fold the event; the segments to ask anew."""
        if user.awake_in is not plan:
            user.awake, user.awake_in = plan.awake(user.state.slots, as_of), plan
        asked = fold_and_watch(touched, user.state.slots, event, as_of, user.awake)
        for segment_id in user.restless:
            if (segment := touched.segments.get(segment_id)) is not None:
                asked[segment_id] = segment
        return asked

    def _is_dear(self, user: User) -> bool:
        """Whether the user has had its share of these records, and another evaluation goes over long lists."""
        if user.round != self._round:
            user.round, user.evaluations = self._round, 0
        user.evaluations += 1
        if user.evaluations <= EVALUATIONS_AT_ONCE:
            return False
        return sum(map(len, user.state.slots.values())) > LONG

    def _is_repeat(self, state: UserState, event: Event) -> bool:
        is_full = len(state.event_ids) >= MAX_EVENT_IDS
        repeat = is_repeat(state, event)
        if is_full and not repeat and len(state.event_ids) >= MAX_EVENT_IDS:
            self._table.forgotten_ids += 1
        return repeat

    def _evaluate(self, out: Outcome, user: User, segments: dict[int, CompiledSegment], as_of: int) -> None:
        for segment in segments.values():
            settle(out, user, segment, as_of, "event")

    def _new_user(self, record: Record, message: EventMessage) -> User:
        tenant, user_id = message.tenant, message.user_id
        key = checked_key(record.key, tenant, user_id, self._table.partition, self._partitions)
        return self._table.add_user(key, tenant, user_id)
