"""From verdicts to memberships: what turned, what Redis must know, when to look again.

Pure: values in, values out. `Outcome` gathers what a batch, a sweep or a walk has to publish.
"""

from typing import NamedTuple

from services.evaluator.state_table import StateTable
from services.evaluator.user import UNSTEADY, User
from shared.contracts.change import Change, Reason, change_id, encode_change
from shared.contracts.redis_keys import COMING, SOFT, pack_flat
from shared.domain.compiled_segment import CompiledSegment
from shared.domain.plan import Plan
from shared.domain.user_state import NEVER, Membership

LEAD_US = 60_000_000
"""Ends nearer than this are written exactly, farther ones soft: an event that only moves one out is not written.

Lookups are exact for so long after the evaluator stopped. `docs/decisions/0013-far-ends-are-soft.md` has the choice.
"""


class Outcome:
    """What one step has to publish: the users whose Redis value changes, and the membership changes."""

    __slots__ = ("changes", "table", "users")

    def __init__(self, table: StateTable) -> None:
        self.table = table
        self.users: dict[bytes, User] = {}
        self.changes: list[tuple[bytes, bytes]] = []
        """(message key, encoded change), in order."""

    def redis_changes(self, user: User) -> None:
        """What Redis holds for the user must change."""
        self.users[user.key] = user
        user.memberships_changed()


class Outlook(NamedTuple):
    """A verdict, and until when events that pass no threshold leave its answer as it is; not after `turns_at`.

    unsteady: any event may turn it, or make it turn earlier.
    """

    member: bool
    turns_at: int
    steady_until: int
    unsteady: bool = False


def settle(out: Outcome, user: User, segment: CompiledSegment, as_of: int, reason: Reason) -> None:
    """Ask for one segment at `as_of` (microseconds): turn the membership, or keep its end up to date."""
    outlook = _outlook(segment, user, as_of)
    memberships = user.state.memberships
    membership = memberships.get(segment.segment_id)
    if membership is None:
        if not outlook.member and outlook.steady_until == NEVER and not outlook.unsteady:
            return
        membership = memberships[segment.segment_id] = _outsider(segment.version, out.table.record.generation)
    if membership.version != segment.version:
        membership.version = segment.version
        user.memberships_changed()
    if outlook.member != membership.member:
        _turn(out, user, segment.segment_id, membership, as_of, reason)
        _set_end(membership, outlook, as_of)
    elif not _is_told(membership, outlook, as_of):
        _tell_end(out, user, membership, outlook, as_of)
    _note(user, segment.segment_id, membership, outlook)
    out.table.wake_by(user, _wake_at(membership))


def advance(out: Outcome, plan: Plan | None, user: User, until: int) -> None:
    """Let time pass for one user up to `until`: every turn at its own instant, soft ends made exact."""
    memberships = user.state.memberships
    while (due := min((m.recheck_at for m in memberships.values()), default=NEVER)) <= until:
        for segment_id, membership in memberships.items():
            if membership.recheck_at > due:
                continue
            segment = plan.segments.get(segment_id) if plan is not None else None
            if segment is None:  # followed no longer: the walk of its command takes the user out
                membership.recheck_at = NEVER
            else:
                settle(out, user, segment, due, "time")
    for segment_id, membership in memberships.items():
        if not membership.flags & SOFT or membership.turns_at - LEAD_US > until:
            continue
        segment = plan.segments.get(segment_id) if plan is not None else None
        if segment is None:
            membership.recheck_at, membership.flags = NEVER, membership.flags & ~SOFT
        else:
            # evaluated anew: events since may have moved the end out without a note
            outlook = _outlook(segment, user, until)
            _tell_end(out, user, membership, outlook, until)
            _note(user, segment_id, membership, outlook)
    user.state.as_of = max(user.state.as_of, until)
    user.state.wake_at = NEVER
    out.table.wake_by(user, min(map(_wake_at, memberships.values()), default=NEVER))
    out.table.dirty[user.key] = None


def withdraw(out: Outcome, user: User, segment_id: int, as_of: int, reason: Reason) -> None:
    """The segment is followed no longer: a member leaves."""
    membership = user.state.memberships.get(segment_id)
    if membership is None:
        return
    known_to_redis = is_in_redis(membership)
    if membership.member:
        _turn(out, user, segment_id, membership, as_of, reason)
    membership.recheck_at = membership.turns_at = NEVER
    membership.flags = 0
    if known_to_redis:
        out.redis_changes(user)
    if reason == "deleted":  # ids of segments are never used again, so neither are those of its changes
        del user.state.memberships[segment_id]
    user.note_restless(segment_id, membership)
    user.memberships_changed()
    out.table.dirty[user.key] = None


def is_in_redis(membership: Membership) -> bool:
    """Whether Redis holds a record of it: a member's, or one of an entry to come."""
    return membership.member or membership.flags & COMING != 0


def packed(user: User) -> bytes:
    """The value Redis shall hold for the user; empty when it shall hold none."""
    records: list[int] = []
    for segment_id, m in sorted(user.state.memberships.items()):
        if is_in_redis(m):
            records += (segment_id, m.entered_at, m.turns_at, m.flags & ~UNSTEADY)
    return pack_flat(records)


def seal(out: Outcome) -> int:
    """Number the publication and note in each user what must not be forgotten; 0 when there is nothing to publish."""
    if not out.users:
        return 0
    table = out.table
    table.pub += 1
    unsent: dict[bytes, list[tuple[int, bytes]]] = {}
    for key, change in out.changes:
        unsent.setdefault(key, []).append((table.pub, change))
    for key, user in out.users.items():
        state = user.state
        state.pub = table.pub
        state.unsent = [entry for entry in state.unsent if entry[0] > table.record.published] + unsent.get(key, [])
        table.dirty[key] = None
    return table.pub


def _outsider(version: int, generation: int) -> Membership:
    return Membership(
        version=version,
        member=False,
        entered_at=0,
        turns_at=NEVER,
        flags=0,
        generation=generation,
        sequence=0,
        recheck_at=NEVER,
    )


def _turn(out: Outcome, user: User, segment_id: int, membership: Membership, as_of: int, reason: Reason) -> None:
    membership.member = not membership.member
    membership.sequence += 1
    began = as_of if membership.member else membership.entered_at
    membership.entered_at = as_of if membership.member else 0
    change = Change(
        id=change_id(segment_id, user.user_id, membership.generation, membership.sequence),
        tenant=user.tenant,
        segment_id=segment_id,
        version=membership.version,
        user_id=user.user_id,
        change="entered" if membership.member else "exited",
        at_us=as_of,
        reason=reason,
        generation=membership.generation,
        sequence=membership.sequence,
        entered_at_us=began,
    )
    out.changes.append((user.key, encode_change(change)))
    out.redis_changes(user)


def _outlook(segment: CompiledSegment, user: User, as_of: int) -> Outlook:
    slots = user.state.slots
    member, steady_until = segment.steady(slots, as_of)
    if steady_until == NEVER or segment.steady is segment.verdict:
        return Outlook(member, steady_until, steady_until)
    turns_at = segment.verdict(slots, as_of)[1]
    return (
        Outlook(member, turns_at, steady_until) if steady_until > as_of else Outlook(member, turns_at, turns_at, True)
    )


def _note(user: User, segment_id: int, membership: Membership, outlook: Outlook) -> None:
    """When to look again, by time or at the next event."""
    flags = membership.flags & ~UNSTEADY | (UNSTEADY if outlook.unsteady else 0)
    if outlook.steady_until < membership.recheck_at or flags != membership.flags:
        user.memberships_changed()
    membership.flags, membership.recheck_at = flags, outlook.steady_until
    user.note_restless(segment_id, membership)


def _is_told(membership: Membership, outlook: Outlook, as_of: int) -> bool:
    """Whether Redis does not mislead: a soft end still far off, and not later than the true one, says enough."""
    if membership.flags & SOFT:
        return as_of + LEAD_US < membership.turns_at <= outlook.steady_until
    return membership.turns_at == outlook.turns_at


def _tell_end(out: Outcome, user: User, membership: Membership, outlook: Outlook, as_of: int) -> None:
    was_known = is_in_redis(membership)
    _set_end(membership, outlook, as_of)
    if was_known or is_in_redis(membership):
        out.redis_changes(user)
    else:
        user.memberships_changed()


def _set_end(membership: Membership, outlook: Outlook, as_of: int) -> None:
    """What Redis shall know: the end (or, with COMING, the begin), exactly when it is near, soft when it is far."""
    _, turns_at, steady_until, _ = outlook
    membership.flags = 0 if membership.member or turns_at == NEVER else COMING
    if steady_until != NEVER and steady_until - as_of > LEAD_US:
        membership.turns_at = steady_until
        membership.flags |= SOFT
    else:
        membership.turns_at = turns_at


def _wake_at(membership: Membership) -> int:
    if membership.flags & SOFT:
        return min(membership.recheck_at, membership.turns_at - LEAD_US)
    return membership.recheck_at
