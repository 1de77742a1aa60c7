"""Case 27: FLUSHALL, a takeover, a zombie that writes after the claim, compaction, and then a further recovery."""

import signal
from itertools import islice

from confluent_kafka import Producer

from services.evaluator.state_records import decode_head
from shared.contracts.topics import CHANGELOG, declare
from tests.fault.check import Verdict, check
from tests.fault.claims import Ownership, stop_until_replaced
from tests.fault.registry import case
from tests.fault.world import RATE, World
from tests.support.clean_servers import alter_topic
from tests.support.evaluators import wait_for
from tests.support.stream import Stream

ZOMBIE_RECORDS = 100
QUIET = "quiet-"
PATIENCE_S = 60
COMPACT_NOW = {"min.compaction.lag.ms": "0", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01"}
AS_BEFORE = {"segment.ms": "604800000", "min.cleanable.dirty.ratio": "0.5"}


@case(27, "FLUSHALL, takeover, late records of a zombie, compaction, a further recovery")
def flushall_zombie_compaction(world: World) -> Verdict:
    stream = world.stream
    one = world.new_evaluator(supervised=True).await_ready()
    world.activate()
    _quiet_users(world)
    world.load()
    world.await_progress(RATE)
    stream.redis.flushall()
    two = world.new_evaluator(supervised=True)
    stop_until_replaced(world, one)
    two.await_ready()
    one.send(signal.SIGCONT)
    _write_late(stream)
    world.await_progress(RATE)
    late = Ownership(stream).late
    wait_for(lambda: not Ownership(stream).unrepaired, PATIENCE_S, "late records are written over")
    alter_topic(stream.bootstrap, CHANGELOG, COMPACT_NOW)
    wait_for(lambda: _is_compacted(stream), PATIENCE_S, "the changelog is compacted")
    (declared,) = (topic for topic in declare(stream.partitions) if topic.name == CHANGELOG)
    alter_topic(stream.bootstrap, CHANGELOG, AS_BEFORE | declared.config)
    world.await_progress(RATE)
    for worker in (one, two):
        worker.end()
    world.new_evaluator().await_ready()
    world.await_recovery()
    faults = [] if late >= ZOMBIE_RECORDS else [f"{late} late records only: nothing was tried"]
    return check(world, exactly=True).besides(*faults, note=f"{late} late records")


def _quiet_users(world: World) -> None:
    """Users with two states in the changelog and no event later on: nothing puts a late record of theirs right."""
    tracker = world.tracker()
    for _ in range(2):
        events = [{"user_id": f"{QUIET}{number}", "event_type": "page_viewed"} for number in range(ZOMBIE_RECORDS)]
        tracker.track([tracker.number(event) for event in events])
        world.stream.await_committed()
    tracker.close()


def _write_late(stream: Stream) -> None:
    """Write the first states of the quiet users again, as an owner does that was replaced and still had them queued.

    The zombie of this run may have been stopped with nothing queued; this one had it.
    """
    epochs = {partition: claims[-1].epoch for partition, claims in Ownership(stream).claims.items()}
    firsts: dict[bytes, tuple[int, bytes]] = {}
    for message in stream.read(CHANGELOG, stream.partitions):
        key, value, partition = message.key() or b"", message.value() or b"", message.partition() or 0
        if QUIET.encode() in key and decode_head(value).epoch < epochs[partition]:
            firsts.setdefault(key, (partition, value))
    producer = Producer({"bootstrap.servers": stream.bootstrap, "log_level": 0})
    for key, (partition, value) in islice(firsts.items(), ZOMBIE_RECORDS):
        producer.produce(CHANGELOG, value, key, partition)
    assert producer.flush(PATIENCE_S) == 0


def _is_compacted(stream: Stream) -> bool:
    """Whether of each partition's claims only the last is left."""
    return all(len(claims) == 1 for claims in Ownership(stream).claims.values())
