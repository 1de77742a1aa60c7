"""Everything the owner of a partition keeps in memory: user states, plans, the clock, who is due when."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from services.evaluator.state_records import PartitionRecord, SegmentRecord, decode_head
from shared.contracts.keys import split_user_key
from shared.domain.definition import parse_definition
from shared.domain.plan import Activation, Plan, compile_plan
from shared.domain.user_state import NEVER, UserState, decode_state, encode_state

LIVE_USERS = 20_000
"""Decoded users kept per partition; beyond, clean ones are dropped and decoded again when needed."""


class User:
    """One user's decoded state with the key it lies under."""

    __slots__ = ("key", "state", "tenant", "user_id")

    def __init__(self, key: bytes, tenant: int, user_id: str, state: UserState) -> None:
        self.key, self.tenant, self.user_id, self.state = key, tenant, user_id, state


class StateTable:
    """The state of one partition. Not safe for two tasks at once: only the partition's owner touches it.

    `store` holds each user's bytes as last written, `live` those decoded since, `dirty` the keys whose decoded
    state is newer than its bytes, `erased` the keys to delete at the next flush.
    `next_offset` is the next event to fold.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.store: dict[bytes, bytes] = {}
        self.live: dict[bytes, User] = {}
        self.dirty: dict[bytes, None] = {}
        self.erased: list[bytes] = []
        self.record = PartitionRecord()
        self.segments: dict[int, SegmentRecord] = {}
        self.plans: dict[int, Plan] = {}
        self.next_offset = 0
        self.pub = 0
        self._wakes: list[tuple[int, bytes]] = []

    # --- users -----------------------------------------------------------------------------------------------

    def user(self, key: bytes) -> User | None:
        """The user under that key, decoded when needed; None when unknown."""
        user = self.live.get(key)
        if user is None and (stored := self.store.get(key)) is not None:
            tenant, user_id = split_user_key(key)
            user = self.live[key] = User(key, tenant, user_id, decode_state(stored))
        return user

    def add_user(self, key: bytes, tenant: int, user_id: str) -> User:
        """A user seen for the first time."""
        user = self.live[key] = User(key, tenant, user_id, UserState())
        return user

    def keys_of(self, tenant: int) -> list[bytes]:
        """The keys of all users of a tenant, as a snapshot."""
        prefix = b"%d\0" % tenant
        known = [key for key in self.store if key.startswith(prefix)]
        return known + [key for key in self.live if key not in self.store and key.startswith(prefix)]

    def encode_user(self, key: bytes) -> bytes:
        """The bytes to write for a user, stamped with our epoch; they become the stored ones."""
        state = self.live[key].state
        state.epoch = self.record.epoch
        encoded = self.store[key] = encode_state(state)
        self.dirty.pop(key, None)
        return encoded

    def forget_clean(self) -> None:
        """Drop decoded users that are not dirty when there are too many."""
        if len(self.live) > LIVE_USERS:
            self.live = {key: self.live[key] for key in self.dirty}

    # --- the clock -------------------------------------------------------------------------------------------

    def wake_by(self, user: User, instant: int) -> None:
        """Time alone may need work on the user at `instant`, if not earlier."""
        if instant < user.state.wake_at:
            user.state.wake_at = instant
            heappush(self._wakes, (instant, user.key))

    def first_wake(self) -> int:
        """The earliest instant at which some user may be due; NEVER when none is."""
        return self._wakes[0][0] if self._wakes else NEVER

    def due(self, until: int, limit: int) -> Iterator[User]:
        """At most `limit` users whose `wake_at` is not after `until`; each is given out once.

        Whoever takes one evaluates it, which sets a later `wake_at`.
        """
        while limit and self._wakes and self._wakes[0][0] <= until:
            instant, key = heappop(self._wakes)
            user = self.user(key)
            if user is not None and user.state.wake_at == instant:  # else: woken by an event since
                limit -= 1
                yield user

    # --- plans -----------------------------------------------------------------------------------------------

    def put_segment(self, record: SegmentRecord) -> None:
        """Follow a segment as this record says; the tenant's plan is compiled anew. Raises InvalidDefinition."""
        segments = self.segments | {record.segment_id: record}
        self.plans[record.tenant] = compile_plan(_activations(segments.values(), record.tenant))
        self.segments = segments

    def compile_all(self) -> None:
        """The plans of all tenants from the recovered segments."""
        for tenant in {record.tenant for record in self.segments.values()}:
            self.plans[tenant] = compile_plan(_activations(self.segments.values(), tenant))

    # --- recovery --------------------------------------------------------------------------------------------

    def after_recovery(self, epoch: int, log_epoch: str) -> list[bytes]:
        """Derive what is not stored from what is; the keys of users whose last publication may be unfinished."""
        unpublished, last_pub, applied = [], self.record.published, self.record.flushed_through - 1
        for key, stored in self.store.items():
            head = decode_head(stored)
            applied = max(applied, head.applied_offset)
            if head.wake_at != NEVER:
                self._wakes.append((head.wake_at, key))
            if head.pub > self.record.published:
                unpublished.append(key)
                last_pub = max(last_pub, head.pub)
        heapify(self._wakes)
        # A turned user is written before the others of its batch, so some states may be ahead of the flush.
        self.next_offset, self.pub = applied + 1, last_pub
        self.record.epoch, self.record.log_epoch = epoch, log_epoch
        self.compile_all()
        return unpublished


def _activations(records: Iterable[SegmentRecord], tenant: int) -> list[Activation]:
    activations = []
    for record in records:
        if record.tenant != tenant:
            continue
        for version, serving in ((record.serving, True), (record.computing, False)):
            same_as_serving = not serving and record.serving is not None and version == record.serving
            if version is not None and not same_as_serving:
                definition = parse_definition(version.definition)
                activations.append(Activation(record.segment_id, version.version, definition, version.cutover, serving))
    return activations
