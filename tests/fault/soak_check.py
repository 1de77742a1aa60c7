"""The common assertions for millions of events: the same as `check`, one partition after the other."""

from shared.contracts.dead_letter import read_dead_letter_headers
from shared.contracts.topics import DEAD_LETTERS, SIDE_PARTITIONS
from tests.fault.changes import wrong_changes
from tests.fault.check import (
    Verdict,
    foreign_keys,
    quiesce,
    wrong_answer,
    wrong_log,
    wrong_lookups,
    wrong_states,
)
from tests.fault.world import RECOVERED_S, World
from tests.support.stream import Membership, Stream
from tests.support.truth import Truth, differences


def check_in_parts(world: World, poisoned: int) -> Verdict:
    """End the load, wait until nothing moves any more, and hold everything against the log.

    Only one partition's events are held at a time; every user is compared with the naive oracle. `poisoned`: so many
    messages must have been set aside.
    """
    quiesce(world)
    stream = world.stream
    as_of = stream.clock()
    values, sets = stream.memberships(as_of), stream.member_sets()
    found, records, expected = [*wrong_log(world)], 0, Membership()
    for partition in range(stream.partitions):
        part = stream.part(partition)
        truth = Truth(part, world.segments)
        records += truth.records
        members = truth.memberships(as_of)
        found += wrong_states(part, truth)
        found += wrong_lookups(world, truth, members)
        found += wrong_changes(part.changes(), members)
        for segment_id, users in members.items():
            expected.setdefault(segment_id, set()).update(users)
    found += [f"Redis, values: {line}" for line in differences(expected, values)]
    found += [f"Redis, member sets: {line}" for line in differences(expected, sets)]
    found += foreign_keys(stream)
    found += [line for answer in world.answers if (line := wrong_answer(answer))]
    if (aside := _set_aside(stream)) != poisoned:
        found.append(f"{aside} messages set aside, {poisoned} could not be used")
    if world.recovered_s is not None and world.recovered_s > RECOVERED_S:
        found.append(f"recovered after {world.recovered_s:.1f} s only (limit {RECOVERED_S:g} s)")
    return Verdict(records, found, world.recovered_s)


def _set_aside(stream: Stream) -> int:
    """How many different messages lie in the dead letters; each lies there at least once."""
    origins = (
        read_dead_letter_headers(message.headers() or [])  # type: ignore[arg-type] # a list of pairs, always
        for message in stream.read(DEAD_LETTERS, SIDE_PARTITIONS)
    )
    return len({(origin.source_partition, origin.source_offset) for origin in origins})
