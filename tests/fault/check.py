"""The common assertions after a fault, against the log itself: nothing lost, doubled or stale, no unclear answer.

C1 nothing lost, C2 nothing counted twice, C3 no stale membership, C4 changes alternate, C5 the history holds each event
once (where an exporter was at work), C6 recovered in time, C7 clear answers.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from shared.contracts.event import decode_event
from shared.domain.compiled_segment import slot_since
from shared.domain.errors import InvalidEvent
from tests.fault.changes import wrong_changes
from tests.fault.definitions import LONGEST_SHORT_WINDOW_US
from tests.fault.history import wrong_history
from tests.fault.load import OTHER_TENANT, Answer, said
from tests.fault.turns import wrong_turns
from tests.fault.world import RECOVERED_S, World
from tests.support.evaluators import wait_for
from tests.support.stream import Membership, Stream
from tests.support.truth import Truth, differences

COMMITTED_S = 120
SWEPT_S = 60
_SWEEP_US = 2_000_000
"""The interval of the sweep, its slices and its publication."""


class Verdict(NamedTuple):
    """What a case found. `note`: figures of the case itself."""

    records: int
    differences: list[str]
    recovered_s: float | None = None
    note: str = ""

    def besides(self, *more: str, note: str = "") -> "Verdict":
        """With the differences and the figures of the case itself."""
        return self._replace(differences=[*self.differences, *more], note=note or self.note)


def check(world: World, *, exactly: bool = False) -> Verdict:
    """End the load, wait until nothing moves any more, and hold everything against the log.

    `exactly`: every change must be one that an undisturbed evaluator makes of the same log, see `wrong_turns`.
    """
    quiesce(world)
    stream = world.stream
    as_of = stream.clock()
    truth = Truth(stream, world.segments)
    expected = truth.memberships(as_of)
    found = [
        *wrong_log(world),
        *wrong_states(stream, truth),
        *(f"Redis, values: {line}" for line in differences(expected, stream.memberships(as_of))),
        *(f"Redis, member sets: {line}" for line in differences(expected, stream.member_sets())),
        *foreign_keys(stream),
        *wrong_lookups(world, truth, expected),
        *wrong_changes(stream.changes(), expected),
        *(wrong_turns(stream, truth) if exactly else ()),
        *(wrong_history(world, expected, as_of) if world.has_archived else ()),
        *(line for answer in world.answers if (line := wrong_answer(answer))),
    ]
    if world.recovered_s is not None and world.recovered_s > RECOVERED_S:
        found.append(f"recovered after {world.recovered_s:.1f} s only (limit {RECOVERED_S:g} s)")
    return Verdict(truth.records, found, world.recovered_s)


def quiesce(world: World) -> None:
    """End the load; returns when all is committed and the short windows are over and swept."""
    for load in world.loads:
        load.finish()
    stream = world.stream
    stream.await_committed(COMMITTED_S)
    newest = max((m.timestamp()[1] for m in stream.read("events", stream.partitions)), default=0) * 1000
    over = newest + LONGEST_SHORT_WINDOW_US + _SWEEP_US
    wait_for(lambda: stream.clock() > over, SWEPT_S, "the short windows are over and swept")


def wrong_log(world: World) -> Iterator[str]:
    """C1, C7: what was acknowledged is in the log, once for each acknowledgement; what was refused is not."""
    sent: dict[str, Counter[int]] = {outcome: Counter() for outcome in ("acknowledged", "refused", "unknown")}
    for answer in world.answers:
        sent[answer.outcome].update(answer.seqs)
    logged = Counter(_logged_seqs(world.stream))
    acknowledged, unknown = sent["acknowledged"], sent["unknown"]
    for seq in sorted(set().union(logged, *sent.values())):
        least, most = acknowledged[seq], acknowledged[seq] + unknown[seq]
        if not least <= logged[seq] <= most:
            yield f"event {seq}: {logged[seq]} times in the log, acknowledged {least} times, unknown {unknown[seq]}"


def _logged_seqs(stream: Stream) -> Iterator[int]:
    for message in stream.read("events", stream.partitions):
        try:
            event = decode_event(message.value() or b"")
        except InvalidEvent:
            continue
        if event.tenant != OTHER_TENANT and "seq" in event.payload:
            yield event.payload["seq"]


def wrong_states(stream: Stream, truth: Truth) -> Iterator[str]:
    """C1, C2: every user's state is the fold of the log, each event once; nothing is committed that is not durable."""
    found, partitions = stream.states()
    # what history gave, and what was gathered beside it, may be kept in another form: the answers alone must be right
    is_all_live = all(slot_since(key) == 0 for state in found.values() for key in state.slots)
    for key, wanted in truth.states().items():
        state = found.get(key)
        if state is None:
            yield f"state of {key!r}: missing"
        elif is_all_live and state.slots != wanted.slots:
            yield f"state of {key!r}: {state.slots} instead of {wanted.slots}"
        elif state.event_ids != wanted.event_ids:
            yield f"event ids of {key!r}: {state.event_ids} instead of {wanted.event_ids}"
    for key, state in found.items():
        if key.startswith(b"%d\0" % OTHER_TENANT) and (state.slots or state.memberships):
            yield f"state of {key!r}: {state.slots}, {state.memberships} of a tenant without segments"
    for partition, offset in stream.committed().items():
        if offset > (through := partitions[partition].flushed_through):
            yield f"partition {partition}: committed {offset}, flushed through {through} only"


def foreign_keys(stream: Stream) -> Iterator[str]:
    for key in stream.redis.scan_iter(match=f"*:{OTHER_TENANT}:*", count=5_000):
        yield f"Redis, key of another tenant: {key!r}"


def wrong_lookups(world: World, truth: Truth, expected: Membership) -> Iterator[str]:
    """C3 over HTTP: all users in one batch, and some alone."""
    users = sorted({user_id for users in truth.events.values() for user_id in users})[:1000]
    wanted = {user: sorted(s for s, members in expected.items() if user in members) for user in users}
    with world.api.client() as client:
        answer = client.post("/api/segments/membership/batch/", json={"user_ids": users})
        if answer.status_code != 200:
            yield f"lookup of {len(users)} users: {answer.status_code} {answer.text}"
            return
        for result in answer.json()["results"]:
            yield from _wrong_lookup(result, wanted)
        for user in world.random.sample(users, min(20, len(users))):
            answer = client.get("/api/segments/membership/", params={"user_id": user})
            yield from _wrong_lookup(answer.json(), wanted)


def _wrong_lookup(result: dict[str, Any], wanted: dict[str, list[int]]) -> Iterator[str]:
    user = result.get("user_id", "")
    if result.get("segment_ids") != wanted.get(user):
        yield f"lookup: {result} instead of {wanted.get(user)}"


def wrong_answer(answer: Answer) -> str | None:
    """C7: 202, or a documented error with its body; 503 says when to come back."""
    body = said(answer)
    text = f"answer {answer.status} {answer.body[:200]!r}"
    if answer.status is None:
        return None  # no answer: the connection broke, which the client sees
    if answer.status == 202:
        complete = body.get("queued") is True or body.get("queued") == len(answer.seqs)
        return None if complete else f"{text} for {len(answer.seqs)} events"
    if answer.status not in (400, 413, 429, 503):
        return f"{text} is not documented"
    # a fault of fields is told by field: {"user_id": ["..."]}
    told = isinstance(body.get("detail"), str) or (
        answer.status == 400 and bool(body) and all(isinstance(messages, list) for messages in body.values())
    )
    if not told:
        return f"{text} says nothing a client understands"
    if answer.status == 503 and not (answer.retry_after or "").isdigit():
        return f"{text} without Retry-After"
    return None
