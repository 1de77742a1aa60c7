"""One user's decoded state, and what is worth keeping beside it while the user is in memory."""

import msgspec

from shared.contracts.redis_keys import SOFT
from shared.domain.plan import Plan
from shared.domain.user_state import NEVER, Membership, UserState, encode_state

UNSTEADY = 4
"""A flag of memberships beside those that Redis knows: any event may turn the answer."""

_encode = msgspec.msgpack.Encoder().encode


class User:
    """A user's state with the key it lies under.

    `restless`: the segments that every event that touches them must ask anew, because an end that Redis knows exactly
    may move, or the answer is unsteady. Of the others an event that passes no threshold changes nothing that anybody
    can see; their `recheck_at` then stays earlier than the true one, which only means looking once too often.
    `awake`: as the plan `awake_in` gave it, and what came since. `evaluations`: how many of the user's events there
    were in the step's `round`.
    """

    __slots__ = (
        "_memberships",
        "awake",
        "awake_in",
        "evaluations",
        "key",
        "restless",
        "round",
        "state",
        "tenant",
        "user_id",
    )

    def __init__(self, key: bytes, tenant: int, user_id: str, state: UserState) -> None:
        self.key, self.tenant, self.user_id, self.state = key, tenant, user_id, state
        self.restless = {n for n, membership in state.memberships.items() if _is_restless(membership)}
        self.awake: set[int] = set()
        self.awake_in: Plan | None = None
        self._memberships: msgspec.Raw | None = None
        self.round = self.evaluations = 0

    def memberships_changed(self) -> None:
        """To be called when a membership changed in anything but a later `recheck_at`."""
        self._memberships = None

    def note_restless(self, segment_id: int, membership: Membership) -> None:
        """To be called when a membership's end or `recheck_at` changed."""
        if _is_restless(membership):
            self.restless.add(segment_id)
        else:
            self.restless.discard(segment_id)

    def encode(self, epoch: int) -> bytes:
        """The stored form of the state, stamped with the owner's epoch.

        Memberships rarely change, slots always do: the former are encoded once. A stored `recheck_at` may be
        earlier than the true one.
        """
        state = self.state
        state.epoch = epoch
        if self._memberships is None:
            self._memberships = msgspec.Raw(_encode(state.memberships))
        try:
            return _encode(
                (
                    state.schema_version,
                    state.wake_at,
                    state.applied_offset,
                    epoch,
                    state.pub,
                    state.as_of,
                    state.slots,
                    self._memberships,
                    state.event_ids,
                    state.unsent,
                    state.merged,
                )
            )
        except OverflowError:  # integers of more than 64 bits
            return encode_state(state)


def _is_restless(membership: Membership) -> bool:
    return bool(membership.flags & UNSTEADY) or (not membership.flags & SOFT and membership.recheck_at != NEVER)
