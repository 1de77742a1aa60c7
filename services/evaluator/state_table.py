"""Everything the owner of a partition keeps in memory: user states, plans, the clock, who is due when."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import msgspec

from services.evaluator.state_records import (
    EVERYTHING,
    PartitionRecord,
    PlanVersion,
    SegmentRecord,
    UserHead,
    segment_id_of,
)
from services.evaluator.user import User
from shared.contracts.keys import split_user_key
from shared.contracts.topics import CHANGELOG_MAX_BYTES
from shared.domain.aggregate import by_aggregate
from shared.domain.bucket import ALWAYS_EXACT
from shared.domain.compiled_segment import Activation
from shared.domain.condition import Definition, gathering
from shared.domain.definition import parse_definition
from shared.domain.plan import Plan, SlotPlan, compile_plan
from shared.domain.user_state import NEVER, UserState, decode_state

STATE_MAX_BYTES = CHANGELOG_MAX_BYTES - 65_536
"""Of one user's state, so that it can be written."""
BOUND_BYTES = 9 * ALWAYS_EXACT
"""A state in which a list came to its bound is longer: a time has nine bytes."""
LIVE_USERS = 20_000
"""Decoded users kept per partition; beyond, clean ones are dropped and decoded again when needed."""


class StateTable:
    """The state of one partition. Not safe for two tasks at once: only the partition's owner touches it.

    `store` holds each user's bytes as last written, `live` those decoded since, `dirty` the keys whose decoded
    state is newer than its bytes, `erased` the keys to delete at the next flush, `unwritten` the segments to write
    again with it, `heads` what recovery saw of the stored users until `after_recovery`.
    `next_offset` is the next event to fold. `forgotten_ids` counts event ids forgotten before their 24 h were over.
    `at_bound`: the users of whom a list came to its bound, as far as they were read or written since recovery.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.store: dict[bytes, bytes] = {}
        self.heads: dict[bytes, UserHead] = {}
        self.live: dict[bytes, User] = {}
        self.dirty: dict[bytes, None] = {}
        self.erased: list[bytes] = []
        self.unwritten: set[int] = set()
        self.forgotten_ids = 0
        self.at_bound: set[bytes] = set()
        self.record = PartitionRecord()
        self.segments: dict[int, SegmentRecord] = {}
        self.plans: dict[int, Plan] = {}
        self.next_offset = 0
        self.pub = 0
        self._wakes: list[tuple[int, bytes]] = []
        self._uncompiled: set[int] = set()
        self._incomplete: dict[int, set[str]] = {}
        self._definitions: dict[tuple[int, int], Definition] = {}

    # --- users -----------------------------------------------------------------------------------------------

    def user(self, key: bytes) -> User | None:
        """The user under that key, decoded when needed; None when unknown."""
        user = self.live.get(key)
        if user is None and (stored := self.store.get(key)) is not None:
            tenant, user_id = split_user_key(key)
            user = self.live[key] = User(key, tenant, user_id, decode_state(stored))
            if len(stored) > BOUND_BYTES:
                self._note_bound(user)
        return user

    def read(self, key: bytes) -> UserState | None:
        """The state under that key, to be looked at only: a user who is not in memory is not kept there for it."""
        user = self.live.get(key)
        if user is not None:
            return user.state
        stored = self.store.get(key)
        return None if stored is None else decode_state(stored)

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
        user = self.live[key]
        encoded = user.encode(self.record.epoch)
        while len(encoded) > STATE_MAX_BYTES and (ids := user.state.event_ids):
            # a repeat of an old event may count twice; a state that cannot be written would stop the partition
            oldest = list(ids)[: len(ids) // 2 + 1]
            for event_id in oldest:
                del ids[event_id]
            self.forgotten_ids += len(oldest)
            encoded = user.encode(self.record.epoch)
        if len(encoded) > BOUND_BYTES or key in self.at_bound:
            self._note_bound(user)
        self.store[key] = encoded
        self.dirty.pop(key, None)
        return encoded

    def _note_bound(self, user: User) -> None:
        plan = self.plans.get(user.tenant)
        if plan is not None and any(slot.is_approximate(user.state.slots) for slot in plan.slots.values()):
            self.at_bound.add(user.key)
        else:
            self.at_bound.discard(user.key)

    def take_erased(self) -> list[bytes]:
        """The keys to delete now; one that has become known again stays."""
        erased, self.erased = self.erased, []
        return [key for key in erased if self.user(key) is None and segment_id_of(key) not in self.segments]

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
        """Follow a segment as this record says, once `compile` is called. Raises InvalidDefinition."""
        for version in record.versions:
            self._definition(record.segment_id, version)
        self.segments[record.segment_id] = record
        self._uncompiled.add(record.tenant)

    def compile(self) -> None:
        """Compile the plans of the tenants whose segments changed."""
        for tenant in self._uncompiled:
            self.plans[tenant] = compile_plan(self._activations(tenant))
            self._incomplete.pop(tenant, None)
        self._uncompiled.clear()

    def serving(self, tenant: int, segment_id: int) -> Activation | None:
        """The serving version of a tenant's segment; None when it has none here."""
        record = self.segments.get(segment_id)
        if record is None or record.tenant != tenant or record.serving is None:
            return None
        return self._activation(segment_id, record.serving, serving=True)

    def planned(self, tenant: int, segment_id: int, version: PlanVersion) -> PlanVersion:
        """A new version with the slots it shares, and what it lacks of history. Raises InvalidDefinition."""
        definition, incomplete = self._definition(segment_id, version), self.incomplete(tenant)
        if not version.cutover:
            return version  # nothing lies before it
        plan = self.plans.get(tenant)

        def is_good(slot: SlotPlan) -> bool:
            return slot.key not in incomplete or slot.since == version.cutover

        inherited = {} if plan is None else plan.gathered(definition, is_good)
        wanted = (aggregate.content_hash() for aggregate in by_aggregate(gathering(definition)))
        lacking = tuple(each for each in wanted if each not in inherited or inherited[each] in incomplete)
        return msgspec.structs.replace(version, inherited=inherited, lacking=lacking)

    def lacking(self, segment_id: int, version: PlanVersion) -> list[SlotPlan]:
        """The slots of a version in the current plan to which history must still be merged."""
        if not version.lacking:
            return []
        tenant = self.segments[segment_id].tenant
        activation = self._activation(segment_id, version, serving=False)
        aggregates = by_aggregate(gathering(activation.definition))
        if EVERYTHING not in version.lacking:
            aggregates = {each: found for each, found in aggregates.items() if each.content_hash() in version.lacking}
        slots = self.plans[tenant].slots
        return [slots[key] for key in map(activation.slot_for, aggregates) if key in slots]

    def incomplete(self, tenant: int) -> set[str]:
        """The keys of the tenant's slots, in the current plan, that lack what history knows."""
        keys = self._incomplete.get(tenant)
        if keys is None:
            keys = self._incomplete[tenant] = {
                slot.key
                for record in self.segments.values()
                if record.tenant == tenant
                for version in record.versions
                for slot in self.lacking(record.segment_id, version)
            }
        return keys

    def complete(self, segment_id: int, version: PlanVersion) -> SegmentRecord:
        """Note that a version lacks nothing any more; the record to write."""
        record, whole = self.segments[segment_id], msgspec.structs.replace(version, lacking=())
        serving, computing = (whole if each == version else each for each in (record.serving, record.computing))
        record = self.segments[segment_id] = msgspec.structs.replace(record, serving=serving, computing=computing)
        self._incomplete.pop(record.tenant, None)
        return record

    def _activations(self, tenant: int) -> Iterator[Activation]:
        for record in self.segments.values():
            if record.tenant != tenant:
                continue
            for version, serving in ((record.serving, True), (record.computing, False)):
                if version is not None and (serving or version != record.serving):
                    yield self._activation(record.segment_id, version, serving=serving)

    def _activation(self, segment_id: int, version: PlanVersion, *, serving: bool) -> Activation:
        definition = self._definition(segment_id, version)
        return Activation(
            segment_id, version.version, definition, version.cutover, serving, version.inherited, version.wish
        )

    def _definition(self, segment_id: int, version: PlanVersion) -> Definition:
        parsed = self._definitions.get((segment_id, version.version))
        if parsed is None:
            parsed = self._definitions[segment_id, version.version] = parse_definition(version.definition)
        return parsed

    # --- recovery --------------------------------------------------------------------------------------------

    def after_recovery(self, epoch: int, log_epoch: str) -> list[bytes]:
        """Derive what is not stored from what is; the keys of users whose last publication may be unfinished."""
        unpublished, last_pub, applied = [], self.record.published, self.record.flushed_through - 1
        for key, head in self.heads.items():
            applied = max(applied, head.applied_offset)
            if head.wake_at != NEVER:
                self._wakes.append((head.wake_at, key))
            if head.pub > self.record.published:
                unpublished.append(key)
                last_pub = max(last_pub, head.pub)
        self.heads = {}
        heapify(self._wakes)
        # A turned user is written before the others of its batch, so some states may be ahead of the flush.
        self.next_offset, self.pub = applied + 1, last_pub
        self.record.epoch, self.record.log_epoch = epoch, log_epoch
        self._uncompiled = {record.tenant for record in self.segments.values()}
        self.compile()
        return unpublished
