"""One user's decoded state, and what is worth keeping beside it while the user is in memory."""

import msgspec

from services.evaluator.tenant_plan import TenantPlan
from shared.domain.user_state import UserState, encode_state

_encode = msgspec.msgpack.Encoder().encode


class User:
    """A user's state with the key it lies under.

    `settled`: the event types (bits of `settled_plan.touched`) whose events need no evaluation for this user: all
    segments they touch only grow, and Redis knows the user as a member whose end is soft or never comes. Their
    `recheck_at` then stays earlier than the true one, which only means looking once too often. `evaluations`: how
    often the user was evaluated in the step's `round`.
    """

    __slots__ = (
        "_memberships",
        "evaluations",
        "key",
        "round",
        "settled",
        "settled_plan",
        "state",
        "tenant",
        "user_id",
    )

    def __init__(self, key: bytes, tenant: int, user_id: str, state: UserState) -> None:
        self.key, self.tenant, self.user_id, self.state = key, tenant, user_id, state
        self.settled = 0
        self.settled_plan: TenantPlan | None = None
        self._memberships: msgspec.Raw | None = None
        self.round = self.evaluations = 0

    def memberships_changed(self) -> None:
        """To be called when a membership changed in anything but a later `recheck_at`."""
        self.settled = 0
        self._memberships = None

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
                )
            )
        except OverflowError:  # integers of more than 64 bits
            return encode_state(state)
